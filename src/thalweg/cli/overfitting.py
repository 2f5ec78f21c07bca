"""Overfitting: what in a run looks like learning by heart, said with the numbers that were seen.

Two signs are looked for. In the curves: the validation loss rose by a tenth or more after its best
epoch, while the training loss went on falling. In the figures: the rows that trained are
predicted clearly better than those that did not, and better than by their mean; for accuracy the
gap must also be more than chance explains (two standard errors).

Examples
--------
>>> curves_part([1.0, 0.5, 0.2, 0.1], [1.0, 0.6, 0.9, 1.2], kept=2)
{'start': 2, 'end': 4, 'from_loss': 0.6, 'to_loss': 1.2, 'from_train': 0.5, 'to_train': 0.1}
>>> curves_part([1.0, 0.5, 0.2], [1.0, 0.6, 0.61], kept=2) is None
True
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.training.model import Model

__all__ = ["curves_part", "figures_part", "signs_of_overfitting"]

RISE = 1.1
ACCURACY_GAP, R2_GAP = 0.03, 0.15


def signs_of_overfitting(model: Model) -> list[tuple[str, dict[str, Any]]]:
    """Sentences of the catalogue, each with its values; none where nothing was seen.

    Parameters
    ----------
    model : Model
    """
    found: list[tuple[str, dict[str, Any]]] = []
    origin, history = model.origin, model.history
    if not model.loss.maximise:
        curves = curves_part(
            history["training_loss"].tolist(),
            history["validation_loss"].tolist(),
            origin.kept_epoch,
        )
        if curves is not None:
            found.append(("overfitting_curves", curves))
    sizes = {part: len(rows) for part, rows in model.split.parts().items()}
    figures = figures_part(origin.figures, sizes)
    if figures is not None:
        found.append(("overfitting_figures", figures))
    return found


def curves_part(
    training: Sequence[float], validation: Sequence[float], kept: int
) -> dict[str, Any] | None:
    """How far the curves drew apart after the epoch whose weights are kept."""
    last = len(training)
    if not 0 < kept < last:
        return None
    before, after = validation[kept - 1], validation[-1]
    if not (math.isfinite(before) and math.isfinite(after) and before > 0):
        return None
    if after < RISE * before or training[-1] >= training[kept - 1]:
        return None
    return {
        "start": kept,
        "end": last,
        "from_loss": before,
        "to_loss": after,
        "from_train": training[kept - 1],
        "to_train": training[-1],
    }


def figures_part(
    figures: Mapping[str, Mapping[str, float]], sizes: Mapping[str, int]
) -> dict[str, Any] | None:
    """How much better the training rows are predicted than rows not trained on.

    Examples
    --------
    >>> figures_part({"training": {"r2": 0.9}, "test": {"r2": 0.4}}, {})
    {'figure': 'r2', 'seen': 0.9, 'unseen': 0.4, 'part': 'test'}
    >>> parts = {"training": {"accuracy": 1.0}, "test": {"accuracy": 0.9}}
    >>> figures_part(parts, {"test": 10}) is None  # one wrong row of ten says nothing
    True
    >>> figures_part({"training": {"r2": -3.6}, "test": {"r2": -4.7}}, {}) is None  # none learned
    True
    """
    part = next((p for p in ("test", "validation") if p in figures), None)
    if part is None or "training" not in figures:
        return None
    for figure, gap in (("accuracy", ACCURACY_GAP), ("r2", R2_GAP)):
        seen, unseen = figures["training"].get(figure), figures[part].get(figure)
        if seen is None or unseen is None or seen <= 0.0:
            continue
        if figure == "accuracy":
            rows = max(1, sizes.get(part, 0))
            gap = max(gap, 2.0 * math.sqrt(max(unseen * (1.0 - unseen), 0.0) / rows))
        if seen - unseen > gap:
            return {"figure": figure, "seen": seen, "unseen": unseen, "part": part}
    return None
