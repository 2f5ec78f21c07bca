"""Small programs, whose values pass from nest to nest in registers.

A step of a tiny network is a chain of a few hundred instructions, each waiting for the one
before it. What it costs is not arithmetic but the way through memory: a vector that is loaded
where single numbers were just stored waits some twenty cycles. So the batch is one panel of as many
lanes as it needs, all loops are written out, and temporaries and state are variables of the
function, which LLVM puts into registers. The state stays there from step to step.
"""

from __future__ import annotations

from dataclasses import replace

from thalweg.compiler.loops import (
    PANELS,
    Access,
    Expr,
    Load,
    Nest,
    Position,
    Reduced,
    Reduction,
    Store,
    rewrite,
)

__all__ = ["one_panel"]


def one_panel(nest: Nest) -> Nest:
    """The nest for the first panel alone, without the axis of panels.

    Parameters
    ----------
    nest : Nest
        Not vectorised yet.

    Returns
    -------
    Nest
    """
    if PANELS not in nest.extents:
        return nest
    gone = nest.extents.index(PANELS)
    axes = tuple(n for n in nest.axes if n != PANELS)

    def moved(access: Access) -> Access:
        strides = access.strides[:gone] + access.strides[gone + 1 :]
        picks = tuple((rewrite([expr], change)[0], stride) for expr, stride in access.picks)
        return replace(access, strides=strides, picks=picks)

    def change(expr: Expr) -> Expr | None:
        if isinstance(expr, Load):
            return Load(moved(expr.access))
        if isinstance(expr, Position):
            return replace(expr, axis=expr.axis - (expr.axis > gone))
        if isinstance(expr, Reduced):
            return replace(expr, axes=frozenset(range(len(axes))))
        return None

    values = iter(rewrite(list(nest.expressions()), change))
    reductions = [Reduction(r.kind, next(values)) for r in nest.reductions]
    inner = [Store(moved(s.access), next(values)) for s in nest.inner]
    stores = [Store(moved(s.access), next(values)) for s in nest.stores]
    reduced = tuple(n for n in nest.reduced if n != PANELS)
    return Nest(axes, stores, reduced, reductions, inner, nest.vector)
