"""How quickly batches go on one thread and on several, so that threads never do harm.

Threads that wait for each other need their processors at the same time. Where other programs use
them too, several threads can be many times slower than one. The static plan says how many may pay;
here it is seen whether they do. Results do not depend on it, not in one bit.
"""

from __future__ import annotations

from thalweg.compiler.patience import LONGEST_CALL

__all__ = ["Pace"]

AGAIN = 0.25
"""Seconds of work after which the slower way is tried again, at the earliest,"""

SELDOM = 20
"""and so many times what one batch took that way,"""

TRIAL = 0.004
"""for about so many seconds."""

WINDOW = 0.02
"""Seconds of work over which a pace is averaged: that the processor was elsewhere for a moment
decides nothing, that it often is does."""

CALLS = 3
"""Calls until a way's pace is known: in the first one everything is cold."""


class Pace:
    """Seconds for a batch, on one thread and on the most that the plan allows.

    Parameters
    ----------
    most : int
        Threads that the plan allows.
    guess : float
        Seconds for a batch, before any has been seen; rather too many.

    Attributes
    ----------
    best : int
        The quicker number of threads, as far as is known.

    Examples
    --------
    >>> pace = Pace(2)
    >>> pace.threads
    2
    >>> for _ in range(3):
    ...     pace.note(2, 10, 0.009)
    >>> pace.threads
    1
    >>> for _ in range(3):
    ...     pace.note(1, 10, 0.004)
    >>> pace.threads, pace.batches(1), pace.batches(2)
    (1, 125, 4)
    >>> round(pace.expected(1, 100), 3)
    0.04
    """

    def __init__(self, most: int, guess: float = 0.0) -> None:
        self.most, self.guess, self.best = most, guess, most
        self.seconds: dict[int, float] = {}
        self.recent: dict[int, tuple[float, float]] = {}
        self.calls: dict[int, int] = {}
        self.spent: dict[int, float] = {}
        self.since = self.trial = 0.0

    @property
    def threads(self) -> int:
        """How many to use in the next call."""
        for number in (self.most, 1):
            if self.calls.get(number, 0) < CALLS or self.spent[number] < TRIAL:
                return number
        other = self.most if self.best == 1 else 1
        if self.most == 1 or self.since < max(AGAIN, SELDOM * self.seconds[other]):
            return self.best
        return other

    def batches(self, threads: int) -> int:
        """How many batches to run in a call: for a while if this is the best way, else a few."""
        if not self.seconds:
            return 1
        best = self.seconds[self.best]
        known = self.seconds.get(threads, best)
        settled = threads in self.seconds and (known == best or self.most == 1)
        return max(1, int((LONGEST_CALL if settled else TRIAL) / known))

    def expected(self, threads: int, batches: int = 1) -> float:
        """Seconds that a call will take."""
        return batches * self.seconds.get(threads, self.guess)

    def note(self, threads: int, batches: int, seconds: float) -> None:
        """Learn from a call."""
        found, best = seconds / batches, self.best
        retried = threads != best and not self.trial
        settling = self.calls.get(threads, 0) < 2
        if settling or retried or found < 0.5 * self.seconds[threads]:
            self.recent[threads] = seconds, batches
        else:
            stays, (past, done) = max(0.5, 1.0 - seconds / WINDOW), self.recent[threads]
            self.recent[threads] = seconds + stays * past, batches + stays * done
        past, done = self.recent[threads]
        self.seconds[threads] = past / done
        self.calls[threads] = self.calls.get(threads, 0) + 1
        self.spent[threads] = self.spent.get(threads, 0.0) + seconds
        self.trial = 0.0 if threads == best else self.trial + seconds
        self.best = min(self.seconds, key=self.seconds.__getitem__)
        if self.best != best or self.trial >= TRIAL:
            self.since = self.trial = 0.0
        elif threads == best:
            self.since += seconds
