"""Random functions of arrays for the compiler's tests, and how far two of their values may differ.

A function is a plan: a list of numbers, each choosing an operation and its operands among the
values made so far. It is evaluated on anything that behaves like an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.interpreter import interpret

SHAPES = [
    (), (1,), (3,), (17,), (33,), (1, 1), (2, 3), (3, 1), (1, 5), (5, 7), (3, 19), (21, 3),
    (0,), (0, 3), (2, 3, 4), (1, 3, 5), (3, 1, 2, 5), (2, 2, 3, 17),
]  # fmt: skip
LARGEST = 4000

UNARY: list[Callable[[Any], Any]] = [
    tnp.tanh,
    tnp.sin,
    tnp.cos,
    tnp.sigmoid,
    tnp.softplus,
    tnp.arctan,
    tnp.erf,
    tnp.expm1,
    lambda x: tnp.exp(-0.3 * x * x),
    lambda x: tnp.log1p(x * x),
    lambda x: tnp.sqrt(1 + x * x),
    lambda x: 1 / (1 + x * x),
    lambda x: 0.3 * x**2 - 1,
    lambda x: 0.1 * tnp.tanh(x) ** 3,
    lambda x: (1.5 + tnp.tanh(x)) ** 1.7,
    lambda x: -x / 2,
    tnp.stop_gradient,
]
MOVING: list[Callable[[Any], Any]] = [
    lambda x: x.T,
    lambda x: tnp.reshape(x, -1),
    lambda x: tnp.reshape(x, (-1, x.shape[0])) if x.size else x,
    lambda x: tnp.reshape(x.T, x.shape),
    lambda x: x[..., None],
    lambda x: x[None],
    lambda x: tnp.broadcast_to(x, (2, *x.shape)),
    lambda x: tnp.broadcast_to(x[:1], (x.shape[0] + 1, *x.shape[1:])),
    lambda x: x[::-1],
    lambda x: x[1:],
    lambda x: x[..., ::2],
    lambda x: x[..., -1:],
    lambda x: x[0],
    lambda x: x[..., -1],
    lambda x: x[np.array([0, -1, 0])],
    lambda x: x[:, np.array([[0, -1], [1, 0]])],
    lambda x: tnp.flip(x, -1),
    lambda x: tnp.roll(x, 1, 0),
    lambda x: tnp.swapaxes(x, 0, -1),
    lambda x: tnp.moveaxis(x, 0, -1),
    lambda x: tnp.stack([x, 2 * x], -1),
    lambda x: tnp.repeat(x, 2, 0),
    lambda x: tnp.squeeze(x),
    lambda x: tnp.diag(x),
    lambda x: tnp.tril(x),
]
REDUCING: list[Callable[[Any], Any]] = [
    lambda x: tnp.sum(x),
    lambda x: tnp.sum(x, axis=0),
    lambda x: tnp.sum(x, axis=-1, keepdims=True),
    lambda x: tnp.sum(x, axis=(0, -1)),
    lambda x: tnp.mean(x, axis=-1),
    lambda x: tnp.mean(x, axis=0, keepdims=True),
    lambda x: tnp.max(x, axis=-1),
    lambda x: tnp.min(x, axis=0),
    lambda x: tnp.logsumexp(x, axis=-1, keepdims=True),
    lambda x: tnp.softmax(x),
    lambda x: x - tnp.mean(x, axis=0),
    lambda x: x / tnp.sqrt(1 + tnp.var(x, axis=-1, keepdims=True)),
    lambda x: tnp.norm(x + 1.1),
    lambda x: tnp.norm(x + 2.1, axis=0),
    lambda x: tnp.cumsum(x, axis=0),
    lambda x: tnp.cumsum(x, axis=-1),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / (1.2 + b * b),
    lambda a, b: tnp.arctan2(a, 1.5 + b * b),
    lambda a, b: (1.3 + tnp.sin(a)) ** b,
    lambda a, b: tnp.logaddexp(a, b),
    lambda a, b: tnp.concatenate([a, b], 0),
    lambda a, b: tnp.concatenate([a, b], -1),
    lambda a, b: 0.3 * (a @ b),
    lambda a, b: 0.3 * (a @ tnp.swapaxes(b, -1, -2)),
    lambda a, b: 0.3 * (a.T @ b),
    lambda a, b: tnp.outer(a, b),
]
CHOOSING: list[Callable[[Any, Any, Any], Any]] = [  # by a known input, so that no rounding decides
    lambda p, a, b: tnp.where(p > 0.1, a, b),
    lambda p, a, b: tnp.where((p > 0.3) | ~(p > -0.5), tnp.log(p + 0.2), a * b),
    lambda p, a, b: tnp.maximum(p, 0.2) * a + b,
    lambda p, a, b: tnp.abs(p) * a - tnp.sign(p) * b,
    lambda p, a, b: tnp.clip(p, -0.4, 0.6) * a + tnp.floor(3 * p) * b,
    lambda p, a, b: a + tnp.argmax(p, axis=-1) * b,
    lambda p, a, b: a + tnp.any(p > 1, axis=0) * b,
    lambda p, a, b: a * tnp.astype(p > 0, "float64" if p.dtype == "float64" else "float32") + b,
]
OPERATIONS = [*UNARY, *MOVING, *REDUCING, *BINARY, *BINARY, *CHOOSING]


@dataclass(frozen=True)
class RandomFunction:
    """A function of a few arrays.

    Attributes
    ----------
    plan : sequence of (int, int, int, int)
        Operation, and three operands, each taken modulo what there is.
    outputs : int
        How many of the last values are returned.
    """

    plan: Sequence[tuple[int, int, int, int]]
    outputs: int = 1

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        values = list(inputs)
        for number, *places in self.plan:
            operation = OPERATIONS[number % len(OPERATIONS)]
            a, b = (values[-1 - p % len(values)] for p in places[:2])
            try:
                if operation in BINARY:
                    value = operation(a, b)
                elif operation in CHOOSING:
                    value = operation(inputs[places[2] % len(inputs)], a, b)
                else:
                    value = operation(a)
            except (ValueError, IndexError, TypeError):  # shapes that do not fit: another step
                continue
            if value.ndim <= 5 and value.size <= LARGEST:
                values.append(value)
        return tuple(values[-self.outputs :])

    def total(self, *inputs: Any) -> Any:
        """One number that depends on every entry of every result, differently."""
        return sum(
            tnp.sum(out * np.linspace(0.5, 1.5, out.size, dtype=str(out.dtype)).reshape(out.shape))
            for out in self(*inputs)
        )


def arrays(seed: int, shapes: Sequence[tuple[int, ...]], dtype: Any) -> list[Any]:
    """Normal numbers, equal for both dtypes."""
    random = np.random.default_rng(seed)
    return [(0.8 * random.normal(size=s)).astype(np.float32).astype(dtype) for s in shapes]


@st.composite
def functions(draw: Any) -> tuple[RandomFunction, list[Any]]:
    """A function and inputs of float64."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    step = st.tuples(*(st.integers(0, 999) for _ in range(4)))
    plan = draw(st.lists(step, min_size=1, max_size=14))
    outputs = draw(st.integers(1, 4))
    return RandomFunction(plan, outputs), arrays(draw(st.integers(0, 999)), shapes, np.float64)


def check(f: Callable[..., Any], points: Sequence[Any], compiled: Any = None) -> None:
    """Compiled values are as good as interpreted ones, in both precisions.

    The error of float32 under the interpreter shows how badly a value is conditioned; compiled
    code may be off by some multiple of that, scaled to the precision.
    """
    exact = interpret(tw.trace(f, *points), points)
    short = [np.asarray(p, np.float32) if np.asarray(p).dtype.kind == "f" else p for p in points]
    rounded = interpret(tw.trace(f, *short), short)
    for inputs, wanted, fraction in ((points, exact, 2.0**-29), (short, rounded, 1.0)):
        found = leaves((compiled or tw.compile(f))(*inputs))
        assert len(found) == len(wanted)
        for a, b, best, rough in zip(found, wanted, exact, rounded, strict=True):
            assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype)
            close(a, b, error(best, rough), fraction)


def error(best: Any, rough: Any) -> float:
    """The largest error of float32, of the largest value or of rounding it."""
    with np.errstate(all="ignore"):
        best = np.asarray(best, np.float64)
        size = np.max(np.abs(best), initial=0.0, where=np.isfinite(best))
        off = np.abs(best - np.asarray(rough, np.float64))
    return float(np.max(off, initial=0.0, where=np.isfinite(off)) + 1e-6 * size + 1e-7)


def close(found: Any, wanted: Any, size: float, fraction: float) -> None:
    """Equal up to a multiple of the error of float32, `fraction` of it for this precision."""
    if np.asarray(wanted).dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=0, atol=50 * size * fraction)


def leaves(tree: Any) -> list[Any]:
    """All arrays in a result."""
    return tw.trees.flatten(tree)[0]
