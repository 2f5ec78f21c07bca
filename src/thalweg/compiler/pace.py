"""How quickly batches go on one thread and on several, so that threads never do harm.

Threads that wait for each other need their processors at the same time. Where other programs use
them too, several threads can be many times slower than one. The static plan says how many may pay;
here it is seen whether they do. Results do not depend on it, not in one bit.
"""

from __future__ import annotations

from thalweg.compiler.patience import LONGEST_CALL

__all__ = ["Pace"]

SOON, AGAIN = 0.03, 0.25
"""Seconds of work after which the slower way is tried again, at the earliest: several threads that
have just disappointed, and otherwise,"""

SELDOM = 20
"""and so many times what one batch took that way,"""

TRIAL = 0.004
"""for about so many seconds, after as many for threads to wake and find their processors."""

WINDOW = 0.02
"""Seconds of work over which a pace is averaged: that the processor was elsewhere for a moment
decides nothing, that it often is does."""


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
    seconds : dict of int to float
        For a batch, by the number of threads.
    best : int
        The quicker number of threads, as far as is seen; `known` are those seen for long enough.
    now, warm, judged : int, float, float
        The number of the last call, for how long it has been that, and for how much of this it
        counts.
    since, stood, again : float
        Seconds of work since another number was tried, since the best one changed, and after
        which several threads are to be tried once more.

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
        self.known: set[int] = set()
        self.now, self.warm, self.judged = 0, 0.0, 0.0
        self.since, self.stood, self.again = 0.0, 0.0, SOON

    @property
    def threads(self) -> int:
        """How many to use in the next call."""
        for number in (self.most, 1):
            if number not in self.known:
                return number
        if self.most == 1:
            return 1
        other, soon = (self.most, self.again) if self.best == 1 else (1, AGAIN)
        return self.best if self.since < max(soon, SELDOM * self.seconds[other]) else other

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
        if threads != self.now:
            self.now, self.warm, self.judged = threads, 0.0, 0.0
        found, best = seconds / batches, self.best
        cold = threads > 1 and self.warm < TRIAL and seconds < LONGEST_CALL
        self.warm += seconds
        if not cold:
            self.judged += seconds
        elif threads in self.known and found >= self.seconds[threads]:
            return
        tried = threads != best and self.judged <= seconds  # what it was long ago says nothing
        if threads not in self.known or tried or found < 0.5 * self.seconds[threads]:
            weight = max(1.0, 0.5 * WINDOW / seconds)
            self.recent[threads] = weight * seconds, weight * batches
        else:
            stays, (past, done) = max(0.5, 1.0 - seconds / WINDOW), self.recent[threads]
            self.recent[threads] = seconds + stays * past, batches + stays * done
        past, done = self.recent[threads]
        self.seconds[threads] = past / done
        if self.judged >= TRIAL:
            self.known.add(threads)
        self.best = min(self.seconds, key=self.seconds.__getitem__)
        self.stood += seconds
        if self.best != best:
            self.since, self.again = 0.0, SOON if self.stood > AGAIN else self._later
            self.stood = 0.0
        elif threads == best:
            self.since += seconds
        elif self.judged >= TRIAL:
            self.since, self.again = 0.0, self._later

    @property
    def _later(self) -> float:
        return min(2.0 * self.again, AGAIN)
