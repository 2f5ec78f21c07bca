"""`thalweg.compile` beside `jax.jit`: compile time, calls of scalar functions, throughput.

``python -m benchmarks.functions`` prints three tables. Values and gradients are compared before
anything is timed; the two sides take turns, and the medians of the ratios are quoted. Without
JAX only thalweg's own figures are there.
"""

import argparse
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

__all__ = ["main"]


@dataclass(frozen=True)
class Side:
    """A library: its namespace, what compiles value and gradient, and how to wait for a result."""

    name: str
    xp: Any
    compile: Callable[[Callable[..., Any]], Callable[..., Any]]
    gradient: Callable[..., Callable[..., Any]]
    special: dict[str, Callable[[Any], Any]]
    wait: Callable[[Any], Any]
    array: Callable[[Any], Any]


def thalweg_side() -> Side:
    import thalweg as tw

    xp = tw.numpy
    special = {"sigmoid": xp.sigmoid, "softplus": xp.softplus, "erf": xp.erf}
    return Side(
        "thalweg", xp, tw.compile, tw.value_and_grad, special, lambda result: result, np.asarray
    )


def jax_side() -> Side:
    import jax

    jax.config.update("jax_enable_x64", True)
    special = {
        "sigmoid": jax.nn.sigmoid,
        "softplus": jax.nn.softplus,
        "erf": jax.scipy.special.erf,
    }
    return Side(
        "jax",
        jax.numpy,
        jax.jit,
        jax.value_and_grad,
        special,
        jax.block_until_ready,
        jax.numpy.asarray,
    )


def expression(side: Side, seed: int, length: int, reductions: float = 0.1) -> Callable[..., Any]:
    """A random function of two arrays, the same for both libraries, reduced to one number."""
    xp, draw = side.xp, random.Random(seed)
    unary = [
        xp.tanh,
        xp.sin,
        xp.cos,
        xp.arctan,
        *side.special.values(),
        lambda x: xp.exp(-x * x),
        lambda x: xp.log1p(x * x),
        lambda x: xp.sqrt(1 + x * x),
        lambda x: 1 / (1 + x * x),
        lambda x: -x / 2,
    ]
    binary = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / (1.2 + b * b),
        lambda a, b: xp.where(a > 0.1, a, b),
    ]
    reducing = [
        lambda x: x - xp.mean(x, axis=0),
        lambda x: x * xp.mean(x, axis=-1, keepdims=True),
        lambda x: x - xp.max(x, axis=-1, keepdims=True),
    ]
    plan: list[Any] = [
        (draw.random(), *(draw.randrange(60) for _ in range(3))) for _ in range(length)
    ]

    def f(a: Any, b: Any) -> Any:
        values = [a, b]
        for chance, k, i, j in plan:
            x, y = (values[-1 - p % min(4, len(values))] for p in (i, j))
            if chance < reductions:
                values.append(reducing[k % len(reducing)](x))
            elif chance < 0.5 + reductions / 2:
                values.append(unary[k % len(unary)](x))
            else:
                values.append(binary[k % len(binary)](x, y))
        return xp.mean(values[-1] * values[-2])

    return f


def inputs(shape: tuple[int, ...], dtype: str) -> list[Any]:
    draw = np.random.default_rng(0)
    return [draw.normal(size=shape).astype(dtype) for _ in range(2)]


def seconds(side: Side, call: Callable[[], Any], least: float) -> float:
    """Seconds of one call, repeated for at least so long."""
    count, taken = 1, 0.0
    while taken < least:
        began = perf_counter()
        for _ in range(count):
            result = call()
        side.wait(result)
        taken = perf_counter() - began
        repeats, count = count, 4 * count
    return taken / repeats


def call_of(f: Callable[..., Any], given: Sequence[Any]) -> Callable[[], Any]:
    """The call of a function with given arguments."""
    return lambda: f(*given)


def in_turns(
    sides: list[Side], calls: list[Callable[[], Any]], options: argparse.Namespace
) -> list[list[float]]:
    """Seconds of one call of every side, in every round."""
    pairs = list(zip(sides, calls, strict=True))
    return [
        [seconds(side, call, options.seconds) for side, call in pairs] for _ in range(options.runs)
    ]


def agree(sides: list[Side], found: list[Any]) -> None:
    """Fail if the sides computed different things."""
    for side, (value, slopes) in zip(sides, found, strict=True):
        wanted, others = found[0]
        np.testing.assert_allclose(value, wanted, rtol=1e-3, atol=1e-6, err_msg=side.name)
        for a, b in zip(slopes, others, strict=True):
            scale = float(np.max(np.abs(b))) + 1e-30
            assert float(np.max(np.abs(np.asarray(a) - b))) <= 1e-2 * scale, side.name


def compile_time(sides: list[Side], options: argparse.Namespace) -> Table:
    """First call of value and gradient of random expressions."""
    table = _table("First call of value and gradient, ms (medians)", "operations", sides)
    for length in options.lengths:
        rounds = []
        for seed in range(options.runs):
            taken, found = [], []
            for side in sides:
                arrays = [side.array(a) for a in inputs((33, 65), "float64")]
                began = perf_counter()
                f = side.compile(side.gradient(expression(side, seed, length), (0, 1)))
                found.append(side.wait(f(*arrays)))
                taken.append(perf_counter() - began)
            agree(sides, found)
            rounds.append(taken)
        _row(table, str(length), rounds, 1e3)
    return table


def call_time(sides: list[Side], options: argparse.Namespace) -> Table:
    """Calls of functions of single numbers, and of ten."""
    table = _table("One call from Python, µs (medians)", "arguments", sides)
    for name, arguments in (("two numbers", (0.3, 0.7)), ("two arrays of 10", inputs((10,), "f8"))):
        calls = []
        for side in sides:
            f = side.compile(expression(side, 3, 20, reductions=0.0))
            given = arguments if name == "two numbers" else [side.array(a) for a in arguments]
            side.wait(f(*given))
            calls.append(call_of(f, given))
        _row(table, name, in_turns(sides, calls, options), 1e6)
    return table


def throughput(sides: list[Side], options: argparse.Namespace) -> Table:
    """Value and gradient of random expressions on small and large arrays."""
    table = _table("Value and gradient, µs per call (medians)", "expression, array", sides)
    for shape in ((30, 33), (300, 333), (1000, 1000)):
        for dtype in ("float32", "float64"):
            for seed in range(options.expressions):
                calls, found = [], []
                for side in sides:
                    f = side.compile(side.gradient(expression(side, seed, 12), (0, 1)))
                    given = [side.array(a) for a in inputs(shape, dtype)]
                    found.append(side.wait(f(*given)))
                    calls.append(call_of(f, given))
                agree(sides, found)
                rounds = in_turns(sides, calls, options)
                _row(table, f"{seed}, {shape[0]} × {shape[1]} {dtype}", rounds, 1e6)
    return table


def _table(title: str, what: str, sides: list[Side]) -> Table:
    table = Table(title=title, box=SIMPLE)
    table.add_column(what, no_wrap=True)
    for side in sides:
        table.add_column(side.name, justify="right")
    if len(sides) > 1:
        table.add_column("ratio", justify="right")
    return table


def _row(table: Table, name: str, rounds: list[list[float]], unit: float) -> None:
    columns = list(zip(*rounds, strict=True))
    cells = [f"{median(column) * unit:.3g}" for column in columns]
    if len(columns) > 1:
        cells.append(f"{median(r[1] / r[0] for r in rounds):.2f}")
    table.add_row(name, *cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.functions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=7, help="rounds, in turns (7)")
    parser.add_argument("--seconds", type=float, default=0.05, help="least time of a round (0.05)")
    parser.add_argument("--expressions", type=int, default=4, help="for the throughput (4)")
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        default=[5, 20, 50, 150],
        help="operations of what is compiled (5 20 50 150)",
    )
    parser.add_argument("--only", choices=["compile", "call", "throughput"], help="one table (all)")
    options = parser.parse_args()
    os.environ["THALWEG_CACHE"] = "0"  # compile time is meant, not loading
    console = Console()
    sides = [thalweg_side()]
    if find_spec("jax"):
        sides.append(jax_side())
    else:
        console.print("jax is not installed: no comparison", style="yellow")
    for name, measure in (
        ("compile", compile_time),
        ("call", call_time),
        ("throughput", throughput),
    ):
        if options.only in (None, name):
            console.print(measure(sides, options))


if __name__ == "__main__":
    main()
