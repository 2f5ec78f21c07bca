"""Several starts, of which the best is kept: the loss of a network has many local minima.

Starts differ in their seed, which draws the first weights and the order of the rows; the rows are
divided alike, so that validation losses can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from thalweg.errors import DivergedError
from thalweg.phrases import Phrase
from thalweg.training.model import Model
from thalweg.training.splits import PART_WORDS, Split

__all__ = ["best_start"]


def best_start(split: Split, seed: int, count: int, trained: Callable[[int], Model]) -> Model:
    """Train from several seeds and keep the model of the lowest validation loss.

    Parameters
    ----------
    split : Split
    seed : int
        The first; the others follow.
    count : int
    trained : callable
        ``trained(seed)``, a model.

    Returns
    -------
    Model
        Without validation rows that of the lowest training loss; one whose constraints hold before
        any other. ``origin.settings["restarts"]`` has the loss of every seed, nan for those that
        diverged.

    Raises
    ------
    DivergedError
        If all have diverged.
    """
    part = "validation" if len(split.validation) else "training"
    models: dict[int, Model] = {}
    losses: dict[str, float | None] = {}
    failure: DivergedError | None = None
    for own in range(seed, seed + count):
        try:
            models[own] = trained(own)
        except DivergedError as error:
            failure, losses[str(own)] = error, None
            continue
        losses[str(own)] = models[own].origin.figures[part]["loss"]
        if models[own].stop.kind == "interrupted":
            break
    if failure is not None and not models:
        raise failure
    best = min(models, key=lambda own: _rank(models[own], part))
    model = models[best]
    note = Phrase(
        "{count} starts, seeds {first} to {last}: seed {best} has the lowest {part} loss, {loss}",
        count=len(losses),
        first=seed,
        last=seed + len(losses) - 1,
        best=best,
        part=PART_WORDS[part],
        loss=f"{losses[str(best)]:.4g}",
    )
    origin = model.origin
    settings = {**origin.settings, "restarts": losses}
    return replace(model, origin=replace(origin, settings=settings, notes=(*origin.notes, note)))


def _rank(model: Model, part: str) -> tuple[bool, float]:
    """Models that hold their constraints first, then by loss."""
    held = model.constraints is None or model.constraints.worst == 0.0
    return not held, model.loss.sign * model.origin.figures[part]["loss"]
