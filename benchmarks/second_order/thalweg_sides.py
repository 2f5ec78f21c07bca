"""thalweg: ``tw.fit`` as anyone calls it, without scaling so that all see the same problem."""

from functools import partial

import thalweg as tw
from benchmarks.second_order.problems import Problem, Trace
from benchmarks.second_order.sides import Side

__all__ = ["fitted", "sides"]


def fitted(method: str, problem: Problem, iterations: int) -> "tw.Model":
    """A model after so many iterations from the problem's start."""
    X, t = problem.data()
    start = problem.start()
    layers = [
        tw.Dense(W.shape[1], W.shape[0], "tanh" if k < len(start) else "identity", True,
                 weights=W, biases=b)
        for k, (W, b) in enumerate(start, start=1)
    ]  # fmt: skip
    return tw.fit(
        tw.Network(layers), X, t, method=method, epochs=iterations, split="none", scale="none"
    )


def _run(method: str, problem: Problem, iterations: int) -> Trace:
    """The history's own times; the first iteration, which compiles, is left out.

    It is counted as long as the mean of the others, as the peers' compilation is left out too.
    """
    model = fitted(method, problem, iterations + 1)
    seconds, losses = (model.history[name] for name in ("seconds", "training_loss"))
    if len(seconds) < 2:
        return Trace(list(seconds), list(losses), len(seconds))
    passed = [s - seconds[0] for s in seconds[1:]]
    return Trace(passed, list(losses[1:]), len(passed))


def sides() -> list[Side]:
    methods = {"lm": "LM", "lbfgs": "L-BFGS", "bfgs": "BFGS"}
    return [Side("thalweg", name, kind, partial(_run, kind)) for kind, name in methods.items()]
