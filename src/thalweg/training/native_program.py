"""The native program of the training loop: the interpreter's program, compiled.

It has the methods of `thalweg.training.program.Program` and gives its values up to rounding;
a whole epoch runs without returning to Python, except every so often so that a progress bar
moves and Ctrl-C is heard.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from thalweg.compiler.program import BatchProgram, Step
from thalweg.compiler.target import available_threads, host
from thalweg.differentiation import value_and_grad
from thalweg.graph import Node, variable
from thalweg.nn.dropout import keys
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Rule
from thalweg.optim.rules.stepping import advance
from thalweg.training.program import Program, ProgramState, batch_count
from thalweg.trees import flatten, unflatten

__all__ = ["NativeProgram"]

Array = NDArray[Any]
LONGEST_CALL = 0.05
"""Seconds after which a native call returns to Python."""

CACHE_BYTES = 1 << 20
"""Workspace of a block of samples; a larger batch is worked off in blocks."""

WEIGHTS_PER_VALUE = 30
"""Weights for each value of a sample from which several threads pay."""

LARGEST_SUM = 4096
"""Samples in a batch where only sums over all samples are wanted."""

WORK_PER_THREAD = 4e6
"""Floating-point operations of a step (in float32) from which another thread pays."""


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
        self._programs: dict[tuple[str, int, bool, bool], BatchProgram] = {}
        self._for_size: dict[tuple[str, int], BatchProgram] = {}
        self._spaces: dict[BatchProgram, Array] = {}
        self._pace: dict[BatchProgram, float] = {}

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
        batch_size = max(1, min(batch_size, len(order)))
        batches = batch_count(len(order), batch_size)
        program = self._program(batch_size)
        leaves, structure = flatten(state.params)
        memory, its_structure = flatten(state.memory)
        arrays = [
            np.array(a, self.dtype, order="C") for a in (*leaves, *memory)
        ]  # changed in place
        data = [np.ascontiguousarray(a, self.dtype) for a in (X, T, weights)]
        data.append(np.ascontiguousarray(order, np.int64))
        data.append(self._keys(state, data[3], batch_size))
        scalars = self._scalars(program, state.step, learning_rates, batches)
        losses = np.zeros((batches, 3), self.dtype)
        space = self._space(program, batch_size)
        self._run(program, arrays, data, scalars, batch_size, losses, space)
        state.step += batches
        state.params = unflatten(structure, arrays[: len(leaves)])
        state.memory = unflatten(its_structure, arrays[len(leaves) :])
        shares = losses[:, 2].astype(np.float64)
        total = float(shares.sum())
        if not total:
            return 0.0
        state.penalty = float(losses[:, 1].astype(np.float64) @ shares) / total
        return float(losses[:, 0].astype(np.float64) @ shares) / total

    def _run(
        self,
        program: BatchProgram,
        arrays: Sequence[Array],
        data: Sequence[Array],
        scalars: Array,
        batch_size: int,
        losses: Array,
        space: Array,
    ) -> None:
        """Native calls of at most `LONGEST_CALL` seconds."""
        first, batches = 0, len(scalars)
        while first < batches:
            pace = self._pace.get(program, 0.0)
            count = max(1, int(LONGEST_CALL / pace)) if pace else 1
            last = min(batches, first + count)
            began = time.perf_counter()
            program.run(
                arrays,
                data,
                scalars,
                batch_size,
                losses,
                (first, last),
                space,
                self._threads(batch_size) if program.threaded else 1,
                self._block(program, batch_size),
            )
            self._pace[program] = (time.perf_counter() - began) / (last - first)
            first = last

    def _scalars(
        self, program: BatchProgram, step: int, learning_rates: Array, batches: int
    ) -> Array:
        """For every batch: step count, learning rate, the rule's other hyperparameters."""
        given: list[Any] = [
            np.arange(step + 1, step + 1 + batches, dtype=np.float64),
            np.asarray(learning_rates, np.float64),
            *(np.float64(getattr(self.rule, name)) for name in self._hyper()),
        ]
        return program.numbers.columns(given, batches, self.dtype)

    def _keys(self, state: ProgramState, order: Array, batch_size: int) -> Array:
        """The keys of the samples of an epoch, for dropout."""
        if not self.objective.network.drops:
            return np.zeros(1, np.int64)
        steps = state.step + 1 + np.arange(len(order)) // batch_size
        return keys(state.seed, steps, order)

    def _hyper(self) -> list[str]:
        """The rule's hyperparameters that are numbers, without the learning rate."""
        return [
            f.name
            for f in fields(self.rule)
            if f.name != "learning_rate" and isinstance(getattr(self.rule, f.name), float)
        ]

    def _program(self, batch_size: int, what: str = "step") -> BatchProgram:
        known = self._for_size.get((what, batch_size))
        if known is None:
            known = self._for_size[what, batch_size] = self._choose(batch_size, what)
        return known

    def _choose(self, batch_size: int, what: str) -> BatchProgram:
        """The program for batches of a size; those of like sizes share one."""
        lanes = host().lanes(self.dtype.itemsize)
        lanes = lanes if batch_size <= lanes else 2 * lanes
        threaded = self._threads(batch_size) > 1
        blocked = batch_size * self._sample_bytes() > self._block_bytes()
        key = (what, lanes, threaded, blocked)
        if key not in self._programs:
            self._programs[key] = BatchProgram(self._step(what), lanes, threaded, blocked)
        return self._programs[key]

    def _block_bytes(self) -> int:
        """Workspace of a block: so much that adding up gradients block by block costs little."""
        return max(CACHE_BYTES, 4 * self.objective.network.count * self.dtype.itemsize)

    def _sample_bytes(self) -> int:
        """About the workspace of one sample: values and derivatives of every layer."""
        return (2 * sum(self._widths()) + 8) * self.dtype.itemsize

    def _widths(self) -> list[int]:
        network = self.objective.network
        return [network.inputs, *(layer.outputs for layer in network.layers)]

    def _block(self, program: BatchProgram, batch_size: int) -> int:
        """Samples that are worked off at once."""
        if not program.blocked:
            return batch_size
        return max(1, self._block_bytes() // program.panel_bytes()) * program.lanes

    def _threads(self, batch_size: int) -> int:
        """How many threads pay, by the work of a step; the bits do not depend on it.

        Between forward pass and sums over samples the values of half the samples change cores;
        a narrow network computes too little with each of them for that.
        """
        layers = self.objective.network.layers
        weights = sum(math.prod(shape) for layer in layers for shape in layer.shapes.values())
        if weights < WEIGHTS_PER_VALUE * sum(self._widths()):
            return 1
        work = 6.0 * weights * batch_size * self.dtype.itemsize / 4
        return max(1, min(self.threads, int(work / WORK_PER_THREAD)))

    def _step(self, what: str) -> Step:
        """What the program of a kind computes in one batch."""
        drops = self.objective.network.drops and what == "step"
        sample = self.objective.sample_graph(self.dtype, drop=drops)
        sign = -1.0 if self.objective.loss.maximise else 1.0
        price = self._price if self.objective.penalty else None
        if what == "loss":
            return Step(sample, [], 0, None, None, sign)
        if what == "gradient":
            sums = [variable(p.shape, self.dtype) for p in sample.inputs[:-2]]
            return Step(sample, sums, 0, _summed, None, sign)
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

        return Step(sample, flat, 2 + len(self._hyper()), update, price, sign, drops)

    def _price(self, parameters: Sequence[Node], total: Node) -> Any:
        return self.objective.penalty(self.objective.as_params(parameters), total)

    def _space(self, program: BatchProgram, batch_size: int) -> Array:
        size = program.workspace_bytes(self._block(program, batch_size))
        known = self._spaces.get(program)
        if known is None or known.nbytes < size:
            raw = np.zeros(size + 64, np.uint8)
            start = (-raw.ctypes.data) % 64
            known = self._spaces[program] = raw[start : start + size]
        return known

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
        data = [np.ascontiguousarray(a, self.dtype) for a in (X, T, weights)]
        data += [np.arange(len(X)), np.zeros(1, np.int64)]
        losses = np.zeros((batch_count(len(X), size), 3), self.dtype)
        scalars = np.zeros((len(losses), 0), self.dtype)
        self.add_up(what, size, arrays, data, scalars, losses)
        shares = losses[:, 2].astype(np.float64)
        total = float(shares.sum())
        return float(losses[:, 0].astype(np.float64) @ shares) / total if total else 0.0

    def add_up(
        self,
        what: str,
        size: int,
        arrays: Sequence[Array],
        data: Sequence[Array],
        scalars: Array,
        losses: Array,
    ) -> None:
        """Sums over all samples, in batches of a size, into arrays that are laid out already.

        Parameters
        ----------
        what : {"loss", "gradient"}
        size : int
        arrays : sequence of array
            Parameters; for gradients also the sums, which are added to.
        data, scalars, losses
            See `thalweg.compiler.program.BatchProgram.run`.
        """
        program = self._program(size, what)
        space = self._space(program, size)
        self._run(program, arrays, data, scalars, size, losses, space)

    def _penalty_and_gradient(
        self, leaves: Sequence[Array], total: float
    ) -> tuple[float, list[Array]]:
        def price(parameters: Sequence[Any]) -> Any:
            return self.objective.penalty(self.objective.as_params(parameters), total)

        value, slopes = value_and_grad(price)(list(leaves))
        return float(value), list(slopes)


def _summed(
    parameters: Sequence[Node],
    gradients: Sequence[Node],
    sums: Sequence[Node],
    scalars: Sequence[Node],
    total: Node,
) -> tuple[Sequence[Node], Sequence[Node]]:
    """The update that only adds the gradient of a batch to a sum, by its weight."""
    return parameters, [s + total * g for s, g in zip(sums, gradients, strict=True)]
