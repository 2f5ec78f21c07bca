"""The filter: pairs (constraint violation, barrier objective) that a step must not fall behind.

A step is progress if no pair in the filter is better in both. No weight between objective and
constraints has to be guessed, as a penalty function would need.
(R. Fletcher and S. Leyffer, Mathematical Programming 91 (2002) 239-269; Wächter and Biegler
2006, section 2.3.)

Examples
--------
>>> filter = Filter(100.0)
>>> filter.add(1.0, 5.0)
>>> filter.accepts(0.5, 9.0), filter.accepts(2.0, 4.0), filter.accepts(2.0, 6.0)
(True, True, False)
"""

from __future__ import annotations

__all__ = ["Filter"]

MARGIN_VIOLATION, MARGIN_OBJECTIVE = 1e-5, 1e-8


class Filter:
    """Dominated pairs are refused, and so is any violation above a ceiling."""

    def __init__(self, ceiling: float) -> None:
        self.ceiling = ceiling
        self.pairs: list[tuple[float, float]] = []

    def add(self, violation: float, objective: float) -> None:
        """Refuse from now on what is no better than this pair in either respect."""
        left = (1.0 - MARGIN_VIOLATION) * violation
        low = objective - MARGIN_OBJECTIVE * violation
        self.pairs = [p for p in self.pairs if p[0] < left or p[1] < low]
        self.pairs.append((left, low))

    def accepts(self, violation: float, objective: float) -> bool:
        """Whether no pair dominates this one."""
        if violation > self.ceiling:
            return False
        return all(violation < theta or objective < phi for theta, phi in self.pairs)
