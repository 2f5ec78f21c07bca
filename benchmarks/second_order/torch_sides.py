"""PyTorch's L-BFGS with its strong Wolfe search, on one thread and on all."""

from functools import partial
from time import perf_counter

import torch

from benchmarks.peers import in_words, thread_counts
from benchmarks.second_order.problems import Problem, Trace
from benchmarks.second_order.sides import MEMORY, Side

__all__ = ["sides"]


def _run(threads: int, problem: Problem, iterations: int) -> Trace:
    """The mse is that of every evaluation: iterations are not shown to anyone."""
    torch.set_num_threads(threads)
    X, t = (torch.from_numpy(a) for a in problem.data())
    layers = [
        tuple(torch.from_numpy(a.copy()).requires_grad_() for a in layer)
        for layer in problem.start()
    ]
    leaves = [leaf for layer in layers for leaf in layer]
    optimiser = torch.optim.LBFGS(
        leaves,
        max_iter=iterations,
        max_eval=10**9,
        history_size=MEMORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )
    seconds: list[float] = []
    losses: list[float] = []

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        a = X
        for W, b in layers[:-1]:
            a = torch.tanh(torch.nn.functional.linear(a, W, b))
        W, b = layers[-1]
        loss = torch.mean((torch.nn.functional.linear(a, W, b)[:, 0] - t) ** 2)
        loss.backward()
        losses.append(loss.item())
        seconds.append(perf_counter() - began)
        return loss

    began = perf_counter()
    closure()
    seconds, losses = [], []
    began = perf_counter()
    optimiser.step(closure)
    made = next(iter(optimiser.state.values()))["n_iter"]
    return Trace(seconds, losses, made)


def sides() -> list[Side]:
    return [
        Side("PyTorch", f"L-BFGS, {in_words(count)}", "lbfgs", partial(_run, count))
        for count in thread_counts()
    ]
