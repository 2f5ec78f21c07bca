"""Levenberg-Marquardt on many samples: time per iteration, peak memory, share of dgemm's rate.

Each size runs in a process of its own, so that its peak memory is its own.
"""

import itertools
import json
import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from benchmarks.first_step import peak_memory

__all__ = ["measure", "table"]

SIZES = (8, 20, 20, 1)
ITERATIONS = 5


def measure(counts: list[int]) -> list[dict[str, Any]]:
    """The figures of every number of samples."""
    found = []
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.second_order.many_samples", str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def table(rows: list[dict[str, Any]]) -> Table:
    """As it is printed."""
    shown = Table(title="LM, 8-20-20-1, P = 621: many samples", box=SIMPLE)
    for name in ("samples", "ms/iteration", "ns/sample", "peak MB", "JᵀJ GFLOP/s", "of dgemm"):
        shown.add_column(name, justify="right")
    for row in rows:
        each, count = row["seconds_per_iteration"], row["samples"]
        shown.add_row(
            f"{count:,}",
            f"{each * 1e3:.1f}",
            f"{each / count * 1e9:.0f}",
            f"{row['peak_megabytes']:.0f}",
            f"{row['equations_rate'] / 1e9:.0f}",
            f"{row['share_of_dgemm']:.0%}",
        )
    return shown


def _one(count: int) -> dict[str, Any]:
    """Train, then measure the equations beside a product of matrices, in turns."""
    import thalweg as tw
    from thalweg.nn.losses import loss
    from thalweg.nn.objective import NetworkObjective
    from thalweg.training.gauss_newton import NormalEquations, vector

    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (count, SIZES[0]))
    t = np.sin(X @ rng.normal(size=SIZES[0]))
    hidden = [tw.Dense(n, m, "tanh") for n, m in itertools.pairwise(SIZES[:-1])]
    net = tw.Network([*hidden, tw.Dense(SIZES[-2], SIZES[-1])])
    model = tw.fit(net, X, t, method="lm", split="none", epochs=ITERATIONS + 1)
    seconds = np.diff(model.history["seconds"])
    peak = peak_memory() or 0
    few = min(count, 100_000)
    objective = NetworkObjective(net, loss("mse"))
    equations = NormalEquations(objective, X[:few], t[:few, None], np.ones(few))
    theta, rates = vector(model.params), []
    a = rng.normal(size=(2048, 2048))
    equations.at(theta)
    for _ in range(5):
        own = _rate(lambda: equations.at(theta), few * net.count**2)
        dgemm = _rate(lambda: a @ a.T.copy(), 2 * len(a) ** 3)
        rates.append((own, dgemm))
    return {
        "samples": count,
        "seconds_per_iteration": float(median(seconds)),
        "peak_megabytes": peak / 2**20,
        "equations_rate": median(own for own, _ in rates),
        "dgemm_rate": median(dgemm for _, dgemm in rates),
        "share_of_dgemm": median(own / dgemm for own, dgemm in rates),
    }


def _rate(run: Any, flops: int) -> float:
    began = perf_counter()
    run()
    return flops / (perf_counter() - began)


if __name__ == "__main__":
    print(json.dumps(_one(int(sys.argv[1]))))
