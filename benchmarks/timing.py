"""Fair timing on a machine that is never quite idle.

The sides take turns (A B C A B C ...), so that a slow minute slows all of them; each round
gives one ratio per pair, and the median ratio is what is quoted.
"""

from collections.abc import Sequence
from statistics import median
from time import sleep

from benchmarks.peers import Run

__all__ = ["alternate", "median_ratio", "steps_for"]

SETTLE = 0.02
"""Seconds between turns: the threads of the side before may still be spinning."""


def steps_for(run: Run, seconds: float, most: int = 100_000) -> int:
    """How many steps take about ``seconds``; leaves the run warm for that many.

    Every length is run once before it is timed: some sides compile for it.
    """
    steps = 1
    while True:
        run(steps)
        taken = run(steps) * steps
        if taken >= seconds / 4 or steps >= most:
            break
        steps = min(8 * steps, most)
    steps = max(1, min(most, round(steps * seconds / taken)))
    run(steps)
    return steps


def alternate(
    runs: Sequence[Run], rounds: int, seconds: float, most: int = 100_000
) -> list[list[float]]:
    """Seconds per step of every run in every round, measured in turns."""
    steps = [steps_for(run, seconds, most) for run in runs]
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for number, run in enumerate(runs):
            sleep(SETTLE)
            times[number].append(run(steps[number]))
    return times


def median_ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """The median over rounds of how many times longer the first took in the same round."""
    return median(a / b for a, b in zip(slower, faster, strict=True))
