"""The native program of the training loop: the interpreter's program, compiled.

It has the methods of `thalweg.training.program.Program` and gives its values up to rounding;
a whole epoch runs without returning to Python, except every so often so that a progress bar
moves and Ctrl-C is heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import thalweg.numpy as tnp
from thalweg.compiler.memory import copied
from thalweg.compiler.pace import Pace
from thalweg.compiler.program import Batches, BatchProgram, Call, Step
from thalweg.compiler.target import available_threads
from thalweg.differentiation import forward, value_and_grad
from thalweg.errors import PositionError, ShapeError
from thalweg.graph import Graph, Node, variable
from thalweg.nn.dropout import keys
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Rule
from thalweg.optim.rules.stepping import advance
from thalweg.training.batches import Samples
from thalweg.training.native_plan import Plan, plan
from thalweg.training.program import Program, ProgramState, batch_count
from thalweg.trees import flatten, unflatten

__all__ = ["NativeProgram", "means"]

Array = NDArray[Any]
LARGEST_SUM = 4096
"""Samples in a batch where only sums over all samples are wanted."""

SLOWEST = 2e9
"""Floating-point operations a second that any machine makes."""


class NativeProgram:
    """Epochs as native code.

    Parameters
    ----------
    objective : NetworkObjective
    rule : Rule
    dtype : float64 or float32
    conditioning : Conditioning, optional
        Clipping and weight decay, before the rule sees the gradients.
    threads : int, optional
        At most so many; all that this process may use by default.
    """

    def __init__(
        self,
        objective: NetworkObjective,
        rule: Rule,
        dtype: DTypeLike = np.float64,
        conditioning: Any = None,
        threads: int | None = None,
    ) -> None:
        self.objective, self.rule, self.conditioning = objective, rule, conditioning
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._interpreted = Program(objective, rule, dtype, conditioning)
        self.threads = available_threads() if threads is None else threads
        self._programs: dict[tuple[str, int, bool, bool, int, bool], BatchProgram] = {}
        self._plans: dict[tuple[int, bool], Plan] = {}
        self._paces: dict[tuple[BatchProgram, int], Pace] = {}

    def start(self, params: Params) -> ProgramState:
        """The state before the first step; the parameters are copied."""
        return self._interpreted.start(params)

    def epoch(
        self,
        state: ProgramState,
        X: Array,
        T: Array,
        weights: Array,
        order: Array,
        batch_size: int,
        learning_rates: Array,
    ) -> float:
        """One pass over the samples; see `EpochProgram.epoch`."""
        given = Samples(X, T, weights), np.asarray(order)[None], batch_size
        (value,) = self._advance(state, *given, np.asarray(learning_rates)[None])
        return float(value)

    def epochs(
        self,
        state: ProgramState,
        samples: Samples,
        orders: Array,
        batch_size: int,
        learning_rates: Array,
    ) -> tuple[Array, Array]:
        """Several epochs in a few native calls.

        Parameters
        ----------
        state : ProgramState
        samples : Samples
        orders : array of int, shape (epochs, k)
        batch_size : int
        learning_rates : array of shape (epochs, ceil(k / batch_size))

        Returns
        -------
        array of shape (epochs,)
            The mean training losses.
        array of shape (epochs, P)
            The parameters after every epoch.
        """
        trail = np.empty((len(orders), self.objective.network.count), self.dtype)
        return self._advance(state, samples, orders, batch_size, learning_rates, trail), trail

    def _advance(
        self,
        state: ProgramState,
        samples: Samples,
        orders: Array,
        batch_size: int,
        learning_rates: Array,
        trail: Array | None = None,
    ) -> Array:
        """Run epochs; returns their mean losses."""
        epochs, count = orders.shape
        batch_size = max(1, min(batch_size, count))
        batches = batch_count(count, batch_size)
        program, chosen = self._program(batch_size, everything=batches == 1)
        # Copies, which are changed in place: whoever keeps the old state keeps it unchanged.
        params, memory = (self._copied(part) for part in (state.params, state.memory))
        arrays = [a for entry in (*params, *memory) for a in entry.values()]
        same = self._is_same(program, orders, batch_size)
        order = _places(orders[:1] if same else orders, len(samples.X)).ravel()
        data = [*self._samples(*samples), order]
        data.append(self._keys(state, orders, batch_size))
        steps = epochs * batches
        numbers = self._numbers(program, state.step, steps, learning_rates)
        losses = np.zeros((steps, 3), self.dtype)
        sizes = (batch_size, chosen.threads, chosen.block, epochs)
        self._run(program, Batches(arrays, data, losses, *sizes, trail, numbers, same))
        state.step += steps
        state.params = [{k: _plain(a) for k, a in entry.items()} for entry in params]
        state.memory = memory
        values, prices = epoch_means(losses.reshape(epochs, batches, 3))
        state.penalty = float(prices[-1])
        return values

    def _copied(self, entries: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
        """As native code wants what it changes."""
        copies = iter(copied([a for entry in entries for a in entry.values()], self.dtype))
        return [{k: next(copies) for k in entry} for entry in entries]

    def _samples(self, *samples: Array) -> list[Array]:
        """X, T and weights as native code reads them, which cannot see where they end."""
        network, count = self.objective.network, len(samples[0])
        wanted = (count, network.inputs), (count, network.outputs), (count,)
        for name, array, shape in zip(("X", "T", "weights"), samples, wanted, strict=True):
            if array.shape != shape:
                raise ShapeError(
                    "{name} has shape {found}, not {wanted}.",
                    name=name,
                    found=array.shape,
                    wanted=shape,
                )
        return [np.ascontiguousarray(a, self.dtype) for a in samples]

    def _is_same(self, program: BatchProgram, orders: Array, batch_size: int) -> bool:
        """Whether there are several epochs of one batch, which is the same at every step."""
        if len(orders) == 1 or orders.shape[1] > batch_size or self.objective.network.drops:
            return False
        return program.keeps(batch_size) and _are_equal(orders)

    def _run(self, program: BatchProgram, batches: Batches) -> None:
        program.make_ready()
        pace = self._pace(program, batches)
        with program.running(batches) as call:
            _in_spans(call, len(batches.losses), pace)

    def _pace(self, program: BatchProgram, batches: Batches) -> Pace:
        pace = self._paces.get((program, batches.size))
        if pace is None:
            guess = 6.0 * self.objective.network.count * batches.size / SLOWEST
            pace = self._paces[program, batches.size] = Pace(batches.threads, guess)
        return pace

    def _numbers(
        self, program: BatchProgram, before: int, steps: int, learning_rates: Array
    ) -> tuple[Array, Array]:
        """What the program's numbers are made from: a table, and the rates of the steps."""
        assert program.numbers
        rates = np.ascontiguousarray(learning_rates, np.float64).reshape(steps)
        settings = [getattr(self.rule, name) for name in self._hyper()]
        return program.numbers.table(before, steps, settings), rates

    def _keys(self, state: ProgramState, orders: Array, batch_size: int) -> Array:
        """The keys of the samples of some epochs, for dropout."""
        if not self.objective.network.drops:
            return np.zeros(1, np.int64)
        epochs, count = orders.shape
        before = state.step + batch_count(count, batch_size) * np.arange(epochs)[:, None]
        steps = before + 1 + np.arange(count) // batch_size
        return keys(state.seed, steps, orders).ravel()

    def _hyper(self) -> list[str]:
        """The rule's hyperparameters that are numbers, without the learning rate."""
        return [
            f.name
            for f in fields(self.rule)
            if f.name != "learning_rate" and isinstance(getattr(self.rule, f.name), float)
        ]

    def _program(
        self, batch_size: int, what: str = "step", everything: bool = False
    ) -> tuple[BatchProgram, Plan]:
        """The program for batches of a size, and how they go; those of like sizes share one."""
        chosen = self._plans.get((batch_size, everything))
        if chosen is None:
            network, threads = self.objective.network, self.threads
            chosen = plan(network, batch_size, self.dtype, threads, everything)
            self._plans[batch_size, everything] = chosen
        key = (what, *chosen.variant)
        if key not in self._programs:
            self._programs[key] = BatchProgram(self._step(what), *chosen.variant)
        return self._programs[key], chosen

    def _step(self, what: str) -> Step:
        """What the program of a kind computes in one batch."""
        drops = self.objective.network.drops and what == "step"
        sample = self.objective.sample_graph(self.dtype, drop=drops)
        sign = -1.0 if self.objective.loss.maximise else 1.0
        price = self._price if self.objective.penalty else None
        if what == "loss":
            return Step(sample, [], None, sign=sign)
        if what in ("gradient", "product"):
            sample = _along(sample) if what == "product" else sample
            sums = [variable(p.shape, self.dtype) for p in sample.inputs[:-2]]
            return Step(sample, sums, _summed, sign=sign)
        leaves = sample.inputs[: -3 if drops else -2]
        memory = [self.rule.init(np.zeros(p.shape, p.dtype)) for p in leaves]
        stand_ins = [
            {k: variable(np.shape(v), self.dtype) for k, v in entry.items()} for entry in memory
        ]
        flat, structure = flatten(stand_ins)

        def update(
            parameters: Sequence[Node],
            gradients: Sequence[Node],
            remembered: Sequence[Node],
            scalars: Sequence[Node],
            total: Node,
        ) -> tuple[Sequence[Node], Sequence[Node]]:
            step, rate, *others = scalars
            traced: dict[str, Any] = dict(zip(self._hyper(), others, strict=True))
            rule = replace(self.rule, **traced)
            states = unflatten(structure, remembered)
            moved, after = advance(
                rule, self.conditioning, parameters, gradients, states, rate, step
            )
            ordered = [new[k] for new, old in zip(after, states, strict=True) for k in old]
            return moved, ordered

        return Step(sample, flat, update, 2 + len(self._hyper()), price, sign, drops)

    def _price(self, parameters: Sequence[Node], total: Node) -> Any:
        divisor = tnp.where(total > 0.0, total, 1.0)
        return self.objective.penalty(self.objective.as_params(parameters), divisor)

    def loss(self, params: Params, X: Array, T: Array, weights: Array) -> float:
        """The weighted mean loss at some parameters, without the penalty."""
        return self._over_all("loss", flatten(params)[0], X, T, weights)

    def gradient(self, params: Params, X: Array, T: Array, weights: Array) -> tuple[float, Params]:
        """The objective with its penalty, and its gradient."""
        leaves = [np.ascontiguousarray(a, self.dtype) for a in flatten(params)[0]]
        sums = [np.zeros_like(leaf) for leaf in leaves]
        value = self._over_all("gradient", [*leaves, *sums], X, T, weights)
        total = float(np.sum(weights, dtype=np.float64)) or 1.0
        slopes = [s / total for s in sums]
        if self.objective.penalty:
            price, extra = self._penalty_and_gradient(leaves, total)
            value += price
            slopes = [a + b for a, b in zip(slopes, extra, strict=True)]
        return value, self.objective.as_params([np.asarray(s, self.dtype) for s in slopes])

    def _over_all(
        self, what: str, state: Sequence[Array], X: Array, T: Array, weights: Array
    ) -> float:
        """Run a program that only adds up over all samples, in large batches."""
        if not len(X):
            return 0.0
        size = min(len(X), LARGEST_SUM)
        arrays = [np.ascontiguousarray(a, self.dtype) for a in state]
        data = self._samples(X, T, weights)
        data += [np.arange(len(X)), np.zeros(1, np.int64)]
        losses = np.zeros((batch_count(len(X), size), 3), self.dtype)
        program, chosen = self._program(size, what, everything=True)
        sizes = (size, chosen.threads, chosen.block)
        self._run(program, Batches(arrays, data, losses, *sizes))
        return means(losses)[0]

    def gradients(
        self, state: Sequence[Array], samples: Samples
    ) -> tuple[Callable[[], None], Array]:
        """What adds gradients over all samples to arrays that are laid out once.

        Parameters
        ----------
        state : sequence of array
            Parameters, and the sums that are added to; of this program's dtype, contiguous.
        samples : Samples
            At least one. They must stay as they are: they may be read but once.

        Returns
        -------
        callable
            Runs the program.
        array of shape (batches, 3)
            Mean loss, penalty and sum of weights of every batch then.
        """
        return self._laid_out("gradient", state, samples, everything=False)

    def products(
        self, state: Sequence[Array], samples: Samples
    ) -> tuple[Callable[[], None], Array]:
        """The same for products of the Hessian with a direction.

        The state are the parameters and the direction, then the sums: products, and gradients.
        """
        return self._laid_out("product", state, samples, everything=False)

    def losses(
        self, parameters: Sequence[Array], samples: Samples
    ) -> tuple[Callable[[], None], Array]:
        """The same for losses alone."""
        return self._laid_out("loss", parameters, samples, everything=True)

    def _laid_out(
        self, what: str, state: Sequence[Array], samples: Samples, everything: bool
    ) -> tuple[Callable[[], None], Array]:
        count = len(samples.X)
        size = min(count, LARGEST_SUM)
        data = self._samples(*samples)
        data += [np.arange(count), np.zeros(1, np.int64)]
        losses = np.zeros((batch_count(count, size), 3), self.dtype)
        program, chosen = self._program(size, what, everything)
        same = len(losses) == 1 and program.keeps(size)
        batches = Batches(state, data, losses, size, chosen.threads, chosen.block, same=same)
        call, pace, spans = program.prepared(batches), self._pace(program, batches), len(losses)
        return lambda: _in_spans(call, spans, pace), losses

    def _penalty_and_gradient(
        self, leaves: Sequence[Array], total: float
    ) -> tuple[float, list[Array]]:
        def price(parameters: Sequence[Any]) -> Any:
            return self.objective.penalty(self.objective.as_params(parameters), total)

        value, slopes = value_and_grad(price)(list(leaves))
        return float(value), list(slopes)


def _places(order: Array, rows: int) -> Array:
    """The order as native code reads it, which does not look whether a row exists."""
    found = np.ascontiguousarray(order, np.int64)
    # As numbers without a sign, negative ones are large.
    if found.size and found.view(np.uint64).max() >= rows:
        raise PositionError(
            "the order of the rows goes from {first} to {last}, but there are {rows}: rows are "
            "counted from 0.",
            first=found.min(),
            last=found.max(),
            rows=rows,
        )
    return found


def _are_equal(rows: Array) -> bool:
    """Whether all rows of an array are equal; it is seen at once if they are one in memory."""
    return rows.strides[0] == 0 or all(np.array_equal(row, rows[0]) for row in rows[1:])


def _along(sample: Graph) -> Graph:
    """The slope of a sample's loss along a direction, which comes after the parameters.

    Its gradient with respect to the parameters is the Hessian times the direction.
    """
    *leaves, x, t = sample.inputs
    direction = [variable(leaf.shape, leaf.dtype) for leaf in leaves]
    return Graph((*leaves, *direction, x, t), tuple(forward(sample.outputs, leaves, direction)))


def _plain(array: Array) -> Array:
    """The array with its rows one after the other."""
    return array if array.flags.c_contiguous else array.copy()


def _in_spans(call: Call, count: int, pace: Pace) -> None:
    """Native calls, each for a short time, on as many threads as do good."""
    first = 0
    while first < count:
        threads = pace.threads
        last = min(count, first + pace.batches(threads))
        expected = pace.expected(threads, last - first)
        began = time.perf_counter()
        call((first, last), threads, expected)
        pace.note(threads, last - first, time.perf_counter() - began)
        first = last


def means(losses: Array) -> tuple[float, float]:
    """Loss and penalty over all batches of an epoch, shape (batches, 3), by their weights."""
    if len(losses) == 1:
        loss, price, total = losses[0].tolist()
        return (loss, price) if total else (0.0, 0.0)
    values, prices = epoch_means(losses[None])
    return float(values[0]), float(prices[0])


def epoch_means(losses: Array) -> tuple[Array, Array]:
    """The same for several epochs, shape (epochs, batches, 3)."""
    # Rows of one number each: a row's sum does not depend then on how many rows there are.
    loss, price, weight = np.ascontiguousarray(np.moveaxis(losses, 2, 0), np.float64)
    if losses.shape[1] == 1:
        return np.where(weight, loss, 0.0)[:, 0], np.where(weight, price, 0.0)[:, 0]
    with np.errstate(all="ignore"):
        total = np.sum(weight, axis=1)
        divisor = np.where(total, total, 1.0)
        values, prices = (np.sum(weight * part, axis=1) / divisor for part in (loss, price))
    return np.where(total, values, 0.0), np.where(total, prices, 0.0)


def _summed(
    parameters: Sequence[Node],
    gradients: Sequence[Node],
    sums: Sequence[Node],
    scalars: Sequence[Node],
    total: Node,
) -> tuple[Sequence[Node], Sequence[Node]]:
    """The update that only adds the gradient of a batch to a sum, by its weight."""
    return parameters, [s + total * g for s, g in zip(sums, gradients, strict=True)]
