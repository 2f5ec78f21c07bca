"""Functions of all entries along some axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph import Node, constant
from thalweg.ops import elementwise
from thalweg.ops.families import Reduction, cast_to, expand, select


def _share_of_ties(out: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """One at the extreme entry; several equal ones share it evenly."""
    hits = cast_to(elementwise.equal.bind(x, out), x.dtype)
    return elementwise.divide.bind(hits, expand(sum.bind(hits, axes=axes), axes, x.shape))


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else np.squeeze(total, axis=axis)


def _norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """sqrt(sum(x²)) without overflow."""
    top = np.max(np.abs(x), axis=axis, keepdims=True)
    scale = np.where((top > 0) & np.isfinite(top), top, np.ones_like(top))
    total = scale * np.sqrt(np.sum(np.square(x / scale), axis=axis, keepdims=True))
    return total if keepdims else np.squeeze(total, axis=axis)


def _arg(function: Any) -> Any:
    return lambda x, axes: function(x, axis=axes[0])


sum: Reduction = Reduction(
    name="sum",
    evaluate=lambda x, axes: np.add.reduce(x, axis=axes),
    partial=lambda out, x, axes: constant(1.0, x.dtype),
    empty=True,
    source="np.sum({0}, axis={axes})",
    latex=r"\sum {0}",
)
max: Reduction = Reduction(
    name="max",
    evaluate=lambda x, axes: np.max(x, axis=axes),
    partial=_share_of_ties,
    source="np.max({0}, axis={axes})",
    latex=r"\max {0}",
)
min: Reduction = Reduction(
    name="min",
    evaluate=lambda x, axes: np.min(x, axis=axes),
    partial=_share_of_ties,
    source="np.min({0}, axis={axes})",
    latex=r"\min {0}",
)
logsumexp: Reduction = Reduction(
    name="logsumexp",
    evaluate=lambda x, axes: _logsumexp(x, axes),
    helper=_logsumexp,
    partial=lambda out, x, axes: elementwise.exp(x - select(out > -np.inf, out, 0.0)),
    source="logsumexp({0}, axis={axes})",
    latex=r"\log\sum e^{{{0}}}",
)
norm: Reduction = Reduction(
    name="norm",
    evaluate=lambda x, axes: _norm(x, axes),
    helper=_norm,
    partial=lambda out, x, axes: select(out == 0, 0.0, x / select(out == 0, 1.0, out)),
    source="norm({0}, axis={axes})",
    latex=r"\left\lVert {0} \right\rVert",
)
any: Reduction = Reduction(
    name="any",
    evaluate=lambda x, axes: np.any(x, axis=axes),
    result="bool",
    empty=True,
    source="np.any({0}, axis={axes})",
    latex=r"\bigvee {0}",
)
all: Reduction = Reduction(
    name="all",
    evaluate=lambda x, axes: np.all(x, axis=axes),
    result="bool",
    empty=True,
    source="np.all({0}, axis={axes})",
    latex=r"\bigwedge {0}",
)
argmax: Reduction = Reduction(
    name="argmax",
    evaluate=_arg(np.argmax),
    result="int64",
    source="np.argmax({0}, axis={axes})",
    latex=r"\operatorname{{argmax}} {0}",
)
argmin: Reduction = Reduction(
    name="argmin",
    evaluate=_arg(np.argmin),
    result="int64",
    source="np.argmin({0}, axis={axes})",
    latex=r"\operatorname{{argmin}} {0}",
)
