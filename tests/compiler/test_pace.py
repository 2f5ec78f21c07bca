"""Threads are used while they do good, and looked at again from time to time."""

from thalweg.compiler.pace import AGAIN, TRIAL, Pace


def run(pace, cost, seconds):
    """Work for a while; how much of it each number of threads did."""
    done, spent = {}, 0.0
    while spent < seconds:
        threads = pace.threads
        batches = pace.batches(threads)
        took = batches * cost[threads]
        pace.note(threads, batches, took)
        done[threads] = done.get(threads, 0.0) + took
        spent += took
    return done


def test_what_is_quicker_does_nearly_all():
    for cost, best in (
        ({1: 1e-4, 4: 3e-5}, 4),
        ({1: 1e-4, 4: 3e-3}, 1),
        ({1: 0.3, 4: 0.16}, 4),
        ({1: 0.3, 4: 2.0}, 1),
    ):
        seconds = 5.0 + 100 * max(cost.values())  # the first trials of long batches take their time
        done = run(Pace(4), cost, seconds)
        assert done[best] > 0.9 * seconds


def test_a_change_is_noticed():
    pace = Pace(2)
    run(pace, {1: 1e-4, 2: 6e-5}, 1.0)
    assert pace.seconds[2] < pace.seconds[1]
    run(pace, {1: 1e-4, 2: 5e-3}, 1.0)  # another program came
    assert pace.seconds[1] < pace.seconds[2]
    done = run(pace, {1: 1e-4, 2: 6e-5}, 2.0)  # and went
    assert done[2] > done[1]


def test_one_thread_is_left_alone():
    pace = Pace(1)
    assert set(run(pace, {1: 1e-3}, 3 * AGAIN)) == {1}
    assert pace.threads == 1


def test_a_moment_elsewhere_decides_nothing_and_frequent_ones_do():
    pace, threads = Pace(2), []
    for call in range(20_000):  # of 0.1 ms; in every 200th the processor is away for 4 ms
        number = pace.threads
        pace.note(number, 1, {1: 1.7e-4, 2: 1e-4}[number] + 4e-3 * (number == 2 and not call % 200))
        threads.append(number)
    assert threads.count(2) > 0.95 * len(threads)
    threads.clear()
    for call in range(20_000):  # in every 20th: 0.3 ms on the mean
        number = pace.threads
        pace.note(number, 1, {1: 1.7e-4, 2: 1e-4}[number] + 4e-3 * (number == 2 and not call % 20))
        threads.append(number)
    assert threads.count(1) > 0.9 * len(threads)


def test_threads_may_take_their_time_to_wake():
    """The first 3 ms on several threads are slow each time: they share a processor at first."""
    pace, threads, awake = Pace(2), [], 0.0
    for _ in range(50_000):
        number = pace.threads
        awake = awake if number == 2 else 0.0
        took = {1: 1.7e-4, 2: 7e-4 if awake < 3e-3 else 1e-4}[number]
        awake += took
        pace.note(number, 1, took)
        threads.append(number)
    assert TRIAL > 3e-3
    assert threads.count(2) > 0.95 * len(threads)
