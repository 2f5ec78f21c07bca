"""Why a solver stopped, as a sentence; its Korean is in ``catalogue/ko/optim.toml``.

Examples
--------
>>> print(sentence("converged", measure=1e-9, tolerance=1e-8))
Converged: the optimality conditions hold (residual 1.0e-09, tolerance 1.0e-08).
"""

from __future__ import annotations

from thalweg.phrases import Phrase

__all__ = ["SENTENCES", "sentence"]

SENTENCES: dict[str, Phrase] = {
    "converged": Phrase(
        "Converged: the optimality conditions hold (residual {measure:.1e}, tolerance "
        "{tolerance:.1e})."
    ),
    "converged_rounding": Phrase(
        "Converged to the last digits: the residual of the optimality conditions ({measure:.1e}) "
        "is above the tolerance ({tolerance:.1e}), but no more than rounding x makes of it."
    ),
    "goal_met": Phrase("The goal was met."),
    "step_too_small": Phrase(
        "Stopped: no step lowers the objective any further in double precision "
        "(optimality residual {measure:.1e}, tolerance {tolerance:.1e})."
    ),
    "iterations_used_up": Phrase(
        "Stopped: all {iterations} iterations are used up (optimality residual "
        "{measure:.1e}). Raise max_iterations to go on."
    ),
    "evaluations_used_up": Phrase(
        "Stopped: all {evaluations} function evaluations are used up (optimality residual"
        " {measure:.1e}). Raise max_evaluations to go on."
    ),
    "time_used_up": Phrase(
        "Stopped: the time limit is reached (optimality residual {measure:.1e}). Raise "
        "max_time to go on."
    ),
    "infeasible": Phrase(
        "Infeasible: the constraints cannot be met near this point; it violates them "
        "least ({violation:.1e}). Another start may do better, if they can be met at all."
    ),
    "unbounded": Phrase("Unbounded: the objective falls without limit (it reached {fun:.3e})."),
    "diverged": Phrase("Diverged: the iterates leave every bound ({detail})."),
    "not_finite": Phrase("Not finite: {detail}."),
    "stopped_by_callback": Phrase("Stopped by the callback."),
    "interrupted": Phrase("Interrupted; this is the best point so far."),
}


def sentence(reason: str, **facts: object) -> Phrase:
    """The sentence of a reason.

    Parameters
    ----------
    reason : str
        A key of `SENTENCES`.
    **facts
        What the sentence quotes.

    Returns
    -------
    Phrase
    """
    return SENTENCES[reason].filled(**facts)
