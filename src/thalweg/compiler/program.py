"""A whole training run as one native function: every batch of an epoch without Python.

For each batch: gather the rows, forward, loss, backward, sums over samples, update. The loss is
given for one sample; here every per-sample array gets a last axis of *lanes*, and a batch is a
number of *panels* of that many samples. Samples lie along vector lanes, so any operation is
vectorised, and ``W x`` for a panel is a matrix product in registers.

Number of samples, size of a batch, the short last batch, learning rates and hyperparameters
are arguments of the native function. Lanes beyond the end of a batch repeat its last sample
with weight zero.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from thalweg.compiler.beside import sums_beside_products
from thalweg.compiler.clock import clock
from thalweg.compiler.crew import NativeTask
from thalweg.compiler.decompose import decompose
from thalweg.compiler.epoch import write_epoch
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.halves import Halves, in_halves
from thalweg.compiler.layout import ARGUMENTS, GIVE_UP, Layout
from thalweg.compiler.loops import ITEM_BYTES, PANELS, Access, Buffer, Load, Nest, Store
from thalweg.compiler.memory import MemoryPlan, pitch_of, plan_memory, workspace
from thalweg.compiler.merge import merge
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.numbers import Numbers, numbers_first
from thalweg.compiler.once import once
from thalweg.compiler.patience import run_patiently
from thalweg.compiler.phases import phases
from thalweg.compiler.target import Target, host
from thalweg.compiler.turn import Seen, row_of, turn_sums
from thalweg.compiler.unrolled import one_panel
from thalweg.compiler.vectorise import SMALLEST_SQUARE, vectorise
from thalweg.compiler.verify import verify
from thalweg.compiler.zeros import often_zero, products_by_rows, skip_zeros
from thalweg.differentiation.chain_rule import backward
from thalweg.graph import Graph, Node, substitute, topological, variable

__all__ = ["BatchProgram", "Batches", "Step"]

FEWEST_USES = 8
"""Rows of a sum over samples from which the other factor is transposed for it,"""

USES_IN_BLOCKS = 64
"""and the same where sums are long; half of them where the rows are often zero."""

MOST_KEPT = 1 << 26
"""Bytes of rows that are kept gathered from step to step."""

Array = NDArray[Any]
Call = Callable[[tuple[int, int], int, float], None]
Update = Callable[
    [Sequence[Node], Sequence[Node], Sequence[Node], Sequence[Node], Node],
    tuple[Sequence[Node], Sequence[Node]],
]


@dataclass(frozen=True)
class Step:
    """What one training step computes, as graphs.

    Attributes
    ----------
    sample : Graph
        Inputs: the parameters, then x and t of one sample, and its key if it has one (an
        integer, for dropout); output: its loss.
    memory : sequence of Node
        Variables for what is remembered from step to step.
    update : callable or None
        ``update(parameters, gradients, memory, numbers, total weight) -> (parameters,
        memory)``; None to compute losses only.
    numbers : int
        How many numbers the update takes: the count of steps, from 1, the learning rate, and
        others that are the same at every step; or none.
    price : callable, optional
        ``price(parameters, total weight)``: the penalty.
    sign : float
        -1 to maximise.
    keyed : bool
        Whether samples have keys.
    """

    sample: Graph
    memory: Sequence[Node]
    update: Update | None
    numbers: int = 0
    price: Callable[[Sequence[Node], Node], Any] | None = None
    sign: float = 1.0
    keyed: bool = False

    @property
    def parameters(self) -> tuple[Node, ...]:
        """The parameters' variables."""
        return self.sample.inputs[: -3 if self.keyed else -2]


@dataclass(frozen=True)
class Batches:
    """What a program is run on.

    Attributes
    ----------
    state : sequence of array
        Parameters, then memory; changed in place, of the program's dtype, laid out as
        `memory.copied` does it or, for a step without numbers, contiguous.
    data : sequence of array
        X, T, weights (of the program's dtype), order and keys (int64, one for each place in
        the order; anything where samples have none), contiguous.
    losses : array of shape (batches, 3)
        Receives mean loss, penalty and sum of weights of every batch.
    size : int
        Samples in a batch.
    threads : int
        The most that may pay.
    block : int
        Samples in a block, a multiple of the lanes, for a blocked program.
    epochs : int
        The order is that of so many epochs of equal length, one after the other.
    trail : array of shape (epochs, number of parameters), optional
        Receives the parameters after every epoch.
    numbers : (array, array), optional
        What the program's `numbers` make for the steps, and a learning rate for each, if its
        update takes numbers; of float64.
    same : bool
        Whether all batches are of the same samples in the same order, which is given once.
    """

    state: Sequence[Array]
    data: Sequence[Array]
    losses: Array
    size: int
    threads: int = 1
    block: int = 0
    epochs: int = 1
    trail: Array | None = None
    numbers: tuple[Array, Array] | None = None
    same: bool = False

    @once
    def addresses(self) -> list[int]:
        """Where the arrays are, in the order in which native code is told of them."""
        given = (*self.state, *self.data, *(self.numbers or (None, None)), self.losses, self.trail)
        return _addresses(given)


def _addresses(arrays: Sequence[Array | None]) -> list[int]:
    """Read the quick way, which ``array.ctypes.data`` is not; of none, zero."""
    return [0 if a is None else a.__array_interface__["data"][0] for a in arrays]


class BatchProgram:
    """Steps over batches, compiled for one network, loss and rule.

    Parameters
    ----------
    step : Step
    lanes : int
        Samples in a panel: one or two vectors.
    threaded : bool
        Whether the code can be run by several threads.
    blocked : bool
        Whether a batch is worked off in blocks of samples that fit the cache, sums over
        samples being added up from block to block.
    chunks : int
        In how many chunks with sums of their own the blocks come; 0 for none. Without blocks
        there can be two: see `thalweg.compiler.halves`.
    unrolled : bool
        Whether a batch is one panel (it has no more samples than lanes), and the program so
        small that its values are best kept in registers.
    target : Target, optional
    """

    def __init__(
        self,
        step: Step,
        lanes: int,
        threaded: bool = False,
        blocked: bool = False,
        chunks: int = 0,
        unrolled: bool = False,
        target: Target | None = None,
    ) -> None:
        self.step = replace(step, sample=_fresh(step.sample))
        self.lanes = lanes
        self.threaded = threaded
        self.blocked = blocked
        self.halved = bool(chunks) and not blocked
        self.chunks = 0 if self.halved else chunks
        self.unrolled = unrolled
        self.target = target or host()
        self.dtype = step.sample.outputs[0].dtype.name
        self._variables()
        self.numbers: Numbers | None = None
        self.halves: Halves | None = None
        self.nests = self._nests()
        # Threads may be at different nests, and sums must outlive the next block: no place twice.
        memory = plan_memory(self.nests, reuse=not threaded and not blocked)
        self.layout = self._layout(memory)
        text = module_text(
            write_epoch(self.nests, self.layout, self.target.triple), "train", ARGUMENTS
        )
        self.code = NativeCode(text, "train", self.target, local=unrolled)
        self._spaces: list[Array] = []

    # -- graphs to nests --------------------------------------------------------------------
    def _variables(self) -> None:
        self.x, self.t, *self.key = self.step.sample.inputs[len(self.step.parameters) :]
        self.weight = variable((), self.dtype)
        self.inverse = variable((), self.dtype)
        self.total = variable((), self.dtype)
        self.keep = variable((), self.dtype)
        self.given = [variable((), self.dtype) for _ in range(self.step.numbers)]
        self.gradients = [variable(p.shape, p.dtype) for p in self.step.parameters]

    def _nests(self) -> list[Nest]:
        (loss,) = self.step.sample.outputs
        leaves = self.step.parameters
        share = self.weight * self.inverse
        per_sample = [share * loss * self.step.sign]
        price = self.step.price(leaves, self.total) if self.step.price else None
        if self.step.update is None:
            late = [] if price is None else [price]
            return self._lower(decompose(per_sample), decompose(late), price is not None)
        derivation = backward(loss, leaves, self.step.sign * share)
        per_sample = decompose([*per_sample, *(derivation.gradient(leaf) for leaf in leaves)])
        gradients: list[Node] = list(self.gradients)
        if price is not None:
            slopes = backward(price, leaves)
            gradients = [g + slopes.gradient(p) for g, p in zip(gradients, leaves, strict=True)]
        moved, after = self.step.update(leaves, gradients, self.step.memory, self.given, self.total)
        late = [*moved, *after, *([price] if price is not None else [])]
        if self.given:
            step, rate, *settings = self.given
            self.numbers, late = numbers_first(late, step, rate, settings)
        return self._lower(per_sample, decompose(late), price is not None)

    def _place(self) -> None:
        """Give what the step is told a buffer: state, samples, numbers, keys."""
        nodes = (*self.step.parameters, *self.step.memory)
        self.state = [self._state(f"state{k}", node.shape) for k, node in enumerate(nodes)]
        buffers = dict(zip(nodes, self.state, strict=True))
        for name, node in (("x", self.x), ("t", self.t), ("w", self.weight)):
            buffers[node] = Buffer(name, (*node.shape, self.lanes), self.dtype, "input", True)
        numbers = self.numbers.inputs_after if self.numbers else ()
        for k, node in enumerate((self.inverse, self.total, self.keep, *numbers)):
            buffers[node] = Buffer(f"s{k}", (), self.dtype, "input")
        for node in self.key:
            buffers[node] = Buffer("key", (self.lanes,), "int64", "input", True)
        self.rows = Buffer("rows", (self.lanes,), "int64", "input", True)
        self.losses = [Buffer(name, (), self.dtype, "output") for name in ("loss", "price")]
        self.stacks: dict[Buffer, Buffer] = {}
        self.buffers = buffers

    def _state(self, name: str, shape: tuple[int, ...]) -> Buffer:
        pitch = pitch_of(shape, ITEM_BYTES[self.dtype]) if self.given else 0
        return Buffer(name, shape, self.dtype, "state", pitch=pitch)

    def _lower(self, per_sample: list[Node], late: list[Node], priced: bool) -> list[Nest]:
        self._place()
        nests = self._fused(per_sample, late, priced).nests
        verify(nests, "fuse")
        fewest = USES_IN_BLOCKS if self.blocked else FEWEST_USES
        known = self.turned
        if not self.unrolled:
            nests, known = products_by_rows(nests, known, self.lanes, self.target)
        sparse = often_zero(nests)
        nests = turn_sums(nests, known, self.lanes, self._per_vector(), fewest, sparse)
        verify(nests, "turn")
        nests = merge(*self._groups(nests))
        verify(nests, "merge")
        if self.halved:
            self.halves = in_halves(nests)
            self.halves.after = merge(self.halves.after)
            self.stacks, nests = self.halves.stacks, self.halves.nests
            verify(nests, "halves")
        if self.unrolled:
            nests = [one_panel(nest) for nest in nests]
            verify(nests, "one panel")
        vectorise(nests, self.target, self.unrolled)
        if self.chunks:
            nests = sums_beside_products(nests)
        parts = [self.halves.nests] if self.halves else phases(nests, set(self.stacks.values()))
        if not self.unrolled:
            skip_zeros([nest for part in parts for nest in part], self.target)
        # In the order in which they are done: places of dead values depend on it.
        nests = [nest for part in parts for nest in part]
        verify(nests, "vectorise")
        return nests

    def _groups(self, nests: Sequence[Nest]) -> Sequence[Sequence[Nest]]:
        """Nests that are merged with none of another group."""
        if self.unrolled:
            return [nests]
        gathers, rest = nests[: self.gathering], nests[self.gathering :]
        return [gathers, *(phases(rest, set(self.stacks.values())) if self.chunks else [rest])]

    def _fused(self, per_sample: list[Node], late: list[Node], priced: bool) -> Fusion:
        """The step as nests: rows gathered, sums over samples, the new state."""
        buffers = self.buffers
        fusion = Fusion(buffers, self.lanes, self._sampled(per_sample))
        self._gather(fusion)
        self.gathering = len(fusion.nests)
        first, *slopes = per_sample
        heads = [s for s in slopes if s in fusion.sampled]
        fusion.prepare([first, *heads])
        keep = buffers[self.keep] if self.blocked else None
        self._sum_up(fusion, first, self.losses[0], keep)
        for variable_, slope in zip(self.gradients, slopes, strict=False):
            buffer = Buffer(f"g{len(buffers)}", variable_.shape, self.dtype, "temporary")
            buffers[variable_] = buffer
            if slope in fusion.sampled:
                self._sum_up(fusion, slope, buffer, keep)
            else:
                fusion.copy(slope, buffer)
        if priced:
            fusion.copy(late.pop(), self.losses[1])
        # All new values first, then the state: an update may read what another one changes.
        fusion.prepare(late, themselves=True)
        for node, buffer in zip(late, self.state, strict=False):
            if fusion.buffers.get(node) is not buffer:
                fusion.copy(node, buffer)
        return fusion

    def _sum_up(self, fusion: Fusion, node: Node, buffer: Buffer, keep: Buffer | None) -> None:
        """Sum over all samples, chunk by chunk where there are chunks."""
        if not self.chunks:
            fusion.sum_over_samples(node, buffer, keep)
            return
        name, shape = buffer.name, buffer.shape
        part = Buffer(f"{name}_part", shape, buffer.dtype, "output")
        stack = Buffer(f"{name}_parts", (self.chunks, *shape), buffer.dtype, "input")
        self.stacks[part] = stack
        fusion.sum_over_samples(node, part, keep)
        fusion.add_parts(stack, buffer)

    def _layout(self, memory: MemoryPlan) -> Layout:
        """What the writer of the epoch needs to know."""
        buffers = self.buffers
        keys = [buffers[node] for node in self.key]
        gathers, gathered = self._gathered()
        return Layout(
            dtype=self.dtype,
            lanes=self.lanes,
            memory=memory,
            state=self.state,
            trained=len(self.step.parameters) if self.given else 0,
            sources=self.sources,
            constants=[b for b in buffers.values() if b.role == "constant"],
            rows=self.rows,
            weight=buffers[self.weight],
            gathers=gathers,
            gathered=gathered,
            samples=[buffers[self.x], buffers[self.t], *keys],
            keys=keys,
            total=buffers[self.total],
            inverse=buffers[self.inverse],
            keep=buffers[self.keep],
            clock=clock(self.numbers, buffers, self.target) if self.numbers else None,
            losses=self.losses,
            stacks=self.stacks,
            rooms=[nest.skipping.room for nest in self.nests if nest.skipping],
            halves=self.halves,
            chunks=self.chunks,
            threaded=self.threaded,
            blocked=self.blocked,
            unrolled=self.unrolled,
        )

    def _sampled(self, outputs: Sequence[Node]) -> set[Node]:
        found = {self.x, self.t, self.weight, *self.key}
        for node in topological(outputs):
            if any(i in found for i in node.inputs):
                found.add(node)
        return found

    def _gather(self, fusion: Fusion) -> None:
        """Nests that bring the rows of a batch into panels, features before lanes."""
        self.sources: list[Buffer] = []
        self.turned: dict[Seen, Buffer] = {}
        for name, node in (("X", self.x), ("T", self.t)):
            (width,) = node.shape
            source = Buffer(name, (1 << 40, width), self.dtype, "input")
            self.sources.append(source)
            panel = fusion.buffers[node]
            place = Access(panel, (panel.size, self.lanes, 1))
            if width < SMALLEST_SQUARE:
                row = Load(Access(self.rows, (self.lanes, 0, 1)))
                value = Load(Access(source, (0, 1, 0), 0, ((row, width),)))
            else:
                copy = row_of(panel, width, self.lanes, self._per_vector())
                step = copy.strides[0]
                row = Load(Access(self.rows, (self.lanes, 1, 0)))
                value = Load(Access(source, (0, 0, 1), 0, ((row, width),)))
                store = Store(Access(copy, (copy.size, step, 1)), value)
                fusion.nests.append(Nest((PANELS, self.lanes, width), [store]))
                self.turned[panel, 0, self.lanes, width] = copy
                value = Load(Access(copy, (copy.size, 1, step)))
            fusion.nests.append(Nest((PANELS, width, self.lanes), [Store(place, value)]))

    def _gathered(self) -> tuple[list[Nest], list[Buffer]]:
        """The nests that gather, and what others read of that."""
        if self.unrolled:
            return [], []
        made = {self.buffers[self.x], self.buffers[self.t], *self.turned.values()}
        gathers = [nest for nest in self.nests if nest.writes() <= made]
        read = set().union(*(n.reads() for n in self.nests if not n.writes() <= made))
        stores = (store for nest in gathers for store in nest.stores)
        return gathers, [s.access.buffer for s in stores if s.access.buffer in read]

    def _per_vector(self) -> int:
        return self.target.lanes(ITEM_BYTES[self.dtype])

    # -- running --------------------------------------------------------------------------------
    def make_ready(self) -> None:
        """Compile the code, or load it, if that has not been done."""
        assert self.code.address

    def keeps(self, samples: int) -> bool:
        """Whether rows of a batch of so many samples are kept for the next, if that is the same."""
        return self.layout.kept_bytes(samples) <= MOST_KEPT

    def run(
        self, batches: Batches, span: tuple[int, int], threads: int = 1, seconds: float = 0.0
    ) -> None:
        """Run some batches, counted through all epochs.

        Parameters
        ----------
        batches : Batches
        span : (int, int)
            First batch, and the one after the last.
        threads : int
            More than one only for a threaded program.
        seconds : float
            How long that is expected to take.

        Raises
        ------
        KeyboardInterrupt
            Of a call that takes long while it may still be running: the arrays of the batches
            are then of no use any more.
        """
        with self.running(batches) as call:
            call(span, threads, seconds)

    @contextmanager
    def running(self, batches: Batches) -> Iterator[Call]:
        """`run` for parts of the same batches one after the other."""
        size = self.layout.workspace_bytes(batches.block or batches.size, batches.threads)
        with self._lent(size) as space:
            yield self._call(batches, space)

    def prepared(self, batches: Batches) -> Call:
        """`run` for batches that are run again and again, with a workspace of their own."""
        size = self.layout.workspace_bytes(batches.block or batches.size, batches.threads)
        return self._call(batches, workspace(size))

    def _call(self, batches: Batches, space: Array) -> Call:
        kept = workspace(self.layout.kept_bytes(batches.size)) if batches.same else None
        rest = _addresses([space, kept, *(b.value for b in self.layout.constants)])
        places = [*batches.addresses, *rest]
        table = (ctypes.c_void_p * len(places))(*places)
        count = len(batches.data[3]) // (1 if batches.same else batches.epochs)
        words = (ctypes.addressof(table), 0, 0, count, batches.size, 0, 1, batches.block)
        task = NativeTask(self.code.address, words, (self, table, batches, space, kept))

        def give_up() -> None:
            space[GIVE_UP] = 1

        def call(span: tuple[int, int], threads: int, seconds: float) -> None:
            task.words[1:3] = list(span)
            run_patiently(task, threads, seconds, give_up)

        return call

    @contextmanager
    def _lent(self, size: int) -> Iterator[Array]:
        """A workspace that no other thread uses at the same time."""
        try:
            space = self._spaces.pop()
        except IndexError:
            space = workspace(size)
        if space.nbytes < size:
            space = workspace(size)
        yield space
        self._spaces.append(space)  # not after an error: threads may have left it half used


def _fresh(graph: Graph) -> Graph:
    """The graph with variables of its own: the order of its nodes is that of this program alone."""
    inputs = tuple(variable(node.shape, node.dtype) for node in graph.inputs)
    image = substitute(graph.outputs, dict(zip(graph.inputs, inputs, strict=True)))
    return Graph(inputs, tuple(image[node] for node in graph.outputs))
