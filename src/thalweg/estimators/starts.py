"""Several starts of an estimator, of which the best is left in it.

The first start is the one that a single fit would take; the others differ in their first weights
and orders of rows, on the same held-out rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from thalweg.errors import DataError

__all__ = ["best_start"]

TRIED = (DataError, FloatingPointError)


def best_start(
    estimator: Any,
    count: int,
    train: Callable[[int], bool],
    score: Callable[[], float],
    depth: int = 3,
) -> None:
    """Train from several starts; the estimator keeps the fitted attributes of the best one.

    Parameters
    ----------
    estimator : object
        Gets ``restart_scores_``, the score of every start; minus infinity for one that failed.
    count : int
    train : callable
        ``train(number)`` fits the estimator and returns whether a person has interrupted it.
    score : callable
        Of the estimator as it stands; higher is better.
    depth : int
        Of the call of `fit` that warnings point at, counted as in `warnings.warn`.

    Raises
    ------
    DataError
        Of the first start, if all have failed. Warnings are those of the best start.
    """
    if count == 1:
        train(0)
        estimator.restart_scores_ = [score()]
        return
    before, kept = dict(vars(estimator)), None
    scores: list[float] = []
    heard: list[warnings.WarningMessage] = []
    failure: Exception | None = None
    for number in range(count):
        _leave(estimator, before)
        interrupted = False
        with warnings.catch_warnings(record=True) as own:
            warnings.simplefilter("always")
            try:
                interrupted = train(number)
                found = score()
            except TRIED as error:
                failure, found = failure or error, -math.inf
        better = kept is None or found > max(scores, default=-math.inf)
        scores.append(found if found == found else -math.inf)
        if found == found and found > -math.inf and better:
            kept, heard = dict(vars(estimator)), own
        if interrupted:
            kept, heard = kept or dict(vars(estimator)), heard or own
            break
    if kept is None:
        kept = dict(vars(estimator))
        if failure is not None:
            raise failure
    _leave(estimator, kept)
    estimator.restart_scores_ = scores
    for warning in heard:
        warnings.warn(warning.message, warning.category, stacklevel=depth)


def _leave(estimator: Any, state: dict[str, Any]) -> None:
    vars(estimator).clear()
    vars(estimator).update(state)
