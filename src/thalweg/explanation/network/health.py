"""How a network's gradients are doing: vanishing, exploding, dead and saturated neurons.

Each finding is a sentence with the number that led to it. The size of a layer's error is the
root mean square of its common parts, so that wide and narrow layers can be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.explanation.network import names
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.notation import Math, symbol
from thalweg.explanation.records import Array, Section, Sentence, Step

__all__ = ["health"]

VANISHING, EXPLODING = 1e-3, 1e3
FLAT = 0.05  # of the steepest slope that the activation has
MOSTLY = 0.9  # of the samples


def _size(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def health(passes: Passes) -> Section:
    """The network view.

    Parameters
    ----------
    passes : Passes

    Returns
    -------
    Section
        For each layer the size of its error and of its weight gradient; then what is found.
    """
    steps: list[Step] = []
    notes: list[Sentence] = []
    for layer in range(passes.depth, 0, -1):
        delta, slope = symbol(f"dZ[{layer}]"), symbol(f"dW[{layer}]")
        size = Math("call", ("rms", delta))
        gradient = Math("call", ("norm", slope))
        steps.append(Step("error_size", size, np.asarray(_size(passes.dZ[layer]))))
        norm = np.asarray(np.linalg.norm(passes.dW[layer]))
        steps.append(Step("gradient_size", gradient, norm))
        notes += _of_layer(passes, layer)
    notes = [*_along(passes), *notes]
    if not notes:
        notes = [Sentence("healthy")]
    return Section("health", Sentence("title_health"), tuple(steps), tuple(notes))


def _along(passes: Passes) -> list[Sentence]:
    """Whether errors grow or shrink on the way from the last layer to the first."""
    last, first = _size(passes.dZ[passes.depth]), _size(passes.dZ[1])
    if not np.isfinite(first) or not np.isfinite(last):
        return [Sentence("not_finite")]
    if passes.depth == 1:
        return []
    if last == 0:
        return [Sentence("no_error")]
    ratio = first / last
    if ratio < VANISHING:
        return [Sentence("vanishing", {"ratio": ratio})]
    return [Sentence("exploding", {"ratio": ratio})] if ratio > EXPLODING else []


def _of_layer(passes: Passes, layer: int) -> list[Sentence]:
    network, g = passes.network, passes.network.layers[layer - 1].g
    if layer not in passes.slopes:
        return []
    slopes, values = passes.slopes[layer], passes.A[layer]
    found = []
    if g.name in ("relu", "relu6"):
        dead = np.flatnonzero(np.all((slopes == 0) & (values == 0), axis=1)) + 1
        if len(dead):
            found.append(_named("dead", passes, layer, dead))
    low, high = g.range
    if np.isfinite(low) and np.isfinite(high) and not g.untrainable:
        z = np.linspace(-4, 4, 161)
        steepest = float(np.max(np.abs(np.gradient(np.asarray(g(z)), z))))
        flat = np.mean(np.abs(slopes) < FLAT * steepest, axis=1) >= MOSTLY
        saturated = np.flatnonzero(flat) + 1
        if len(saturated):
            found.append(_named("saturated", passes, layer, saturated))
    if g.untrainable:
        found.append(Sentence("step_untrainable_layer", {"layer": names.layer_of(network, layer)}))
    return found


def _named(key: str, passes: Passes, layer: int, neurons: NDArray[np.intp]) -> Sentence:
    shown = ", ".join(str(int(n)) for n in neurons[:10]) + (", …" if len(neurons) > 10 else "")
    values = {
        "layer": names.layer_of(passes.network, layer),
        "neurons": shown,
        "count": len(neurons),
        "of": passes.network.sizes[layer],
        "activation": str(passes.network.layers[layer - 1].g),
        "m": passes.samples,
    }
    return Sentence(key, values)
