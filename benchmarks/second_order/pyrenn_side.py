"""pyrenn's Levenberg-Marquardt, from the same start."""

import io
from contextlib import redirect_stdout
from time import perf_counter

import numpy as np
import pyrenn

from benchmarks.second_order.by_hand import ByHand
from benchmarks.second_order.problems import Problem, Trace
from benchmarks.second_order.sides import Side

__all__ = ["sides"]


def _run(problem: Problem, iterations: int) -> Trace:
    X, t = problem.data()
    net = pyrenn.CreateNN(list(problem.sizes))
    net["w"] = np.concatenate([part for W, b in problem.start() for part in (W.flatten("F"), b)])
    first = ByHand(problem).mse(problem.theta())
    began = perf_counter()
    with redirect_stdout(io.StringIO()):
        net = pyrenn.train_LM(X.T, t[None], net, k_max=iterations, E_stop=0.0)
    passed = perf_counter() - began
    errors = np.asarray(net["ErrorHistory"])  # the start first
    made = len(errors)
    seconds = [passed * k / made for k in range(made)]
    return Trace([*seconds, passed][1:], [*list(first * errors / errors[0])[1:], np.nan], made)


def sides() -> list[Side]:
    return [Side("pyrenn", "LM", "lm", _run, most=50)]
