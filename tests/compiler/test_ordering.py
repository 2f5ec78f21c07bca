"""Without barriers: whatever two threads touch is ordered by what they wait for.

Steps of random networks are gone through number by number. Which thread reads and writes what is
found from the nests and the shares of the threads; what comes before what, from the waits that are
written and from nothing else (vector clocks). So all orders in which threads can run are looked at.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise, product

import numpy as np
import pytest

from thalweg.compiler import threads as shares
from thalweg.compiler import zeros
from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.epoch import EpochWriter
from thalweg.compiler.layout import Layout
from thalweg.compiler.loops import PANELS, Access, Buffer, Nest
from thalweg.compiler.program import BatchProgram
from thalweg.compiler.progress import NONE, Progress, pieces_of
from thalweg.compiler.segments import segments
from thalweg.compiler.target import Target
from thalweg.compiler.threads import split_kind
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import RULES, Conditioning
from thalweg.training import native_plan
from thalweg.training.native_program import NativeProgram

MOST = 5
"""Panels of a batch."""

Part = tuple[Nest, list[range]]
"""A nest, and which indices of its axes are gone through."""

Piece = Callable[[int, int, int], Iterator[Part]]
"""From a thread, how many there are, and panels of the batch: what the thread does."""


# -- when: what a thread waits for and says --
class Events(Progress):
    """What a thread does, in order: "work", "say", and for a wait how far back it looks."""

    def __init__(self, layout: Layout, nests: Sequence[Nest], threads: int) -> None:
        def of_two(then: Value, otherwise: Value) -> Value:
            return then if threads == 2 else otherwise

        self.events: list[str | int] = []
        pieces, marks = pieces_of(layout, nests), Value("%marks", "ptr")
        super().__init__(Assembly(), marks, pieces, of_two if layout.halves else None)

    def of_step(self) -> list[str | int]:
        self.events = []
        for _ in self.pieces:
            with self.around():
                self.events.append("work")
        return self.events

    def of_meeting(self) -> list[str | int]:
        self.events = []
        self.write_meeting()
        return self.events

    def _write_done(self) -> None:
        self.events.append("say")

    def _write_wait(self, back: Value, threads: Value) -> None:
        if threads is not NONE:
            self.events.append(int(back.text))


# -- who: the shares of the threads --
def share(count: int, number: int, of: int) -> range:
    return range(number * count // of, (number + 1) * count // of)


def parts(nest: Nest, thread: int, threads: int, own: range, summed: range) -> Iterator[Part]:
    """What a thread does of a nest; it has `own` panels, and sums go over those in `summed`."""
    whole = [summed if n == PANELS else range(n) for n in nest.extents]
    kind = split_kind(nest)
    if kind == "panels":
        yield nest, [own, *whole[1:]]
    elif kind == "rows":
        width = nest.width if nest.vector == 0 else 1
        for s in segments(nest.axes[0], nest.tiles[0], width, whole=nest.turned == 0, even=True):
            tiles = share((s.stop - s.start) // s.step, thread, threads)
            rows = range(s.start + tiles.start * s.step, s.start + tiles.stop * s.step)
            yield nest, [rows, *whole[1:]]
    elif thread == 0:
        yield nest, whole


def pieces(layout: Layout, nests: Sequence[Nest]) -> list[Piece]:
    """The pieces of a step after its rows, as `thalweg.compiler.halves` describes them."""

    def plain(nest: Nest) -> Piece:
        return lambda t, n, panels: parts(nest, t, n, share(panels, t, n), range(panels))

    halves = layout.halves
    if halves is None:
        return [plain(nest) for nest in nests]
    stacked = [[in_stack(layout, nest, half) for nest in halves.small] for half in (0, 1)]

    def small(t: int, n: int, panels: int) -> Iterator[Part]:
        for half in share(2, t, n):
            for nest in stacked[half]:
                yield from parts(nest, 0, 1, range(0), share(panels, half, 2))

    def first(nest: Nest) -> Piece:
        def piece(t: int, n: int, panels: int) -> Iterator[Part]:
            thread, half = (1 - t, t) if n == 2 else (t, 0)
            return parts(nest, thread, n, range(0), share(panels, half, 2))

        return piece

    def after(nest: Nest) -> Piece:
        def piece(t: int, n: int, panels: int) -> Iterator[Part]:
            return parts(nest, t, n, range(0), share(panels, t if n == 2 else 1, 2))

        return piece

    before = map(plain, layout.ungathered(halves.before))
    return [*before, small, *map(first, halves.first), *map(after, halves.after)]


def in_stack(layout: Layout, nest: Nest, half: int) -> Nest:
    """The nest with its sums stored in a half's part of their stack."""

    def moved(access: Access) -> Access:
        stack = layout.stacks[access.buffer]
        return replace(access, buffer=stack, offset=half * access.buffer.size)

    return replace(nest, stores=[replace(s, access=moved(s.access)) for s in nest.stores])


# -- what: numbers that are touched --
def uses(nest: Nest) -> list[tuple[Access, bool]]:
    """What a nest touches, and whether it writes there; tables of all samples are left out."""
    stored = {id(s.access) for s in (*nest.inner, *nest.stores)}
    found = [(a, id(a) in stored) for a in nest.accesses() if not a.picks]
    return sorted(found, key=lambda use: use[1])


def places(access: Access, indices: Sequence[range]) -> np.ndarray:
    """The elements of its buffer that an access names."""
    pairs = zip(access.strides, indices, strict=False)
    along = [stride * np.array(index, int) for stride, index in pairs if stride]
    return np.unique(reduce(np.add.outer, along, np.array(access.offset)))


class Numbers:
    """The numbers of one buffer: who wrote each one last, who has read it, and when."""

    def __init__(self, size: int, threads: int) -> None:
        self.writer, self.written = np.zeros((2, size), int)
        self.read = np.zeros((threads, size), int)

    def touch(self, at: np.ndarray, thread: int, clock: np.ndarray, writes: bool) -> bool:
        """Note it; whether it comes after all that it must come after, by the thread's clock."""
        good = np.all(self.written[at] <= clock[self.writer[at]])
        if writes:
            good &= np.all(self.read[:, at] <= clock[:, None])
            self.writer[at], self.written[at] = thread, clock[thread]
        else:
            self.read[thread, at] = clock[thread]
        return bool(good)


class Run:
    """Steps of a program, by some threads; one of the waits of each step may be left out."""

    def __init__(self, program: BatchProgram, threads: int, left_out: int = -1) -> None:
        self.layout, self.threads, self.left_out = program.layout, threads, left_out
        nests = self.layout.ungathered(program.nests)
        self.events = Events(self.layout, nests, threads)
        self.pieces = [self._rows, *pieces(self.layout, nests)]
        self.waits = sum(isinstance(event, int) for event in self.events.of_step())
        self.clocks = np.zeros((threads, threads), int)
        self.said: list[list[np.ndarray]] = [[] for _ in range(threads)]
        self.numbers: dict[tuple[object, ...], Numbers] = {}
        self.known: dict[object, object] = {}
        clock = self.layout.clock.variables if self.layout.clock else ()
        self.own = {self.layout.inverse, self.layout.total, self.layout.keep, *clock}
        self.faults: set[tuple[int, str]] = set()
        self.steps, self.gathers = 0, True

    def step(self, panels: int, gathers: bool = True) -> None:
        """A batch of so many panels, whose rows may be there already."""
        self.steps, self.gathers = self.steps + 1, gathers
        self._go(self.events.of_step(), panels)

    def leave_trail(self) -> None:
        """The parameters are copied by the first thread."""
        self._go(self.events.of_meeting())
        self.clocks[0, 0] += 1
        for buffer in self.layout.state[: self.layout.trained]:
            self._note(-1, buffer, np.arange(buffer.size), 0, False)
        self._go(self.events.of_meeting())

    def _go(self, events: Sequence[str | int], panels: int = 0) -> None:
        waits = position = 0
        for event in events:
            for thread in range(self.threads):
                if event == "work":
                    self._work(position, thread, panels)
                elif event == "say":
                    self.said[thread].append(self.clocks[thread].copy())
                elif waits != self.left_out or not panels:
                    self._wait(thread, event)
            position += event == "work"
            waits += isinstance(event, int)

    def _wait(self, thread: int, back: int) -> None:
        """What is known from then on is what the others knew when they said it."""
        wanted = len(self.said[thread]) - back
        if wanted > 0:
            self.clocks[thread] = np.max(
                [self.clocks[thread], *(said[wanted - 1] for said in self.said)], axis=0
            )

    def _rows(self, thread: int, threads: int, panels: int) -> Iterator[Part]:
        """What is no nest is noted here."""
        own = share(panels, thread, threads) if self.gathers else range(0)
        for buffer in (self.layout.rows, self.layout.weight, *self.layout.keys):
            at = np.arange(buffer.size * own.start, buffer.size * own.stop)
            self._note(0, buffer, at, thread, True)
        for nest in self.layout.gathers:
            yield from parts(nest, thread, threads, own, range(panels))

    def _work(self, position: int, thread: int, panels: int) -> None:
        self.clocks[thread, thread] += 1
        for nest, indices in self.pieces[position](thread, self.threads, panels):
            key = (nest, *((r.start, r.stop) for r in indices))
            if key not in self.known:
                self.known[key] = [(a.buffer, places(a, indices), w) for a, w in uses(nest)]
            for buffer, at, writes in self.known[key]:
                self._note(position, buffer, at, thread, writes)

    def _note(
        self, position: int, buffer: Buffer, at: np.ndarray, thread: int, writes: bool
    ) -> None:
        key: tuple[object, ...] = (buffer,)
        if buffer in self.layout.losses:  # at another place in every step
            key = (buffer, self.steps)
        elif buffer in self.own or (buffer.panels and self.layout.halves and self.threads == 2):
            key = (buffer, "of", thread)
        if key not in self.numbers:
            self.numbers[key] = Numbers(buffer.size * (MOST if buffer.panels else 1), self.threads)
        if not self.numbers[key].touch(at, thread, self.clocks[thread], writes):
            self.faults.add((position, buffer.name))


def faults(
    program: BatchProgram, threads: int, left_out: int = -1, same: bool = False
) -> set[tuple[int, str]]:
    """What goes wrong in two epochs; the last batch of each is short, or there is but one batch."""
    run = Run(program, threads, left_out)
    for epoch in range(2):
        for panels in (MOST,) if same else (MOST, MOST, 2):
            run.step(panels, gathers=not same or epoch == 0)
        run.leave_trail()
    return run.faults


# -- programs --
@pytest.fixture
def made(monkeypatch):
    """Makes programs for threads, whatever pays."""
    for name in ("WORK_PER_THREAD", "WEIGHTS_PER_VALUE", "MOST_IN_REGISTERS"):
        monkeypatch.setattr(native_plan, name, 0.5)

    def make(goal, halves=0, split=1, rule="adam", dtype="float64", conditioning=None):
        monkeypatch.setattr(native_plan, "HALVES", halves)
        monkeypatch.setattr(shares, "SMALLEST_SPLIT", split)
        native = NativeProgram(goal, RULES[rule](), dtype, conditioning, threads=5)
        program = native._program(200)[0]
        assert program.layout.marked and bool(program.layout.halves) == bool(halves)
        return program

    return make


def random_choice(seed):
    """An objective, and how it is trained."""
    rng = np.random.default_rng(seed)

    def one_of(*values):
        return values[rng.integers(len(values))]

    sizes = [one_of(1, 2, 3, 5, 7, 12, 17) for _ in range(rng.integers(2, 8))]
    names, dropout = ("tanh", "relu", "softplus", "leaky_relu"), one_of(0.0, 0.0, 0.3)
    inner = [Dense(n, m, one_of(*names), dropout=dropout) for n, m in pairwise(sizes[:-1])]
    net = Network([*inner, Dense(sizes[-2], sizes[-1])])
    goal = NetworkObjective(net, loss("mse"), *one_of((), (Penalty(0.01, 0.02),)))
    conditioning = one_of(None, Conditioning(0.5, 0.05, 0.01))
    rule, dtype = one_of(*sorted(RULES)), one_of("float32", "float64")
    return goal, one_of(0, 2), one_of(1, 500, 4096), rule, dtype, conditioning


SMALL = NetworkObjective(
    Network([Dense(3, 7, "tanh"), Dense(7, 12, "relu"), Dense(12, 2)]), loss("mse")
)
SEEDS = [*range(4), *(pytest.param(k, marks=pytest.mark.slow) for k in range(4, 100))]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_read_too_early_nor_overwritten_too_soon(seed, made):
    program = made(*random_choice(seed))
    for same, threads in product((False, True), (2, 3, 5)):
        assert not faults(program, threads, same=same)


@pytest.mark.parametrize("halves", [0, 2])
def test_products_that_pass_over_zeros(halves, made, monkeypatch):
    """Also where weights are transposed for them before others may change these again."""
    monkeypatch.setattr(zeros, "GAIN", 1e9)
    monkeypatch.setattr(zeros, "FEWEST_WEIGHTS", 0)
    layers = [Dense(3, 9, "relu"), Dense(9, 12, "relu"), Dense(12, 10, "relu"), Dense(10, 2)]
    program = made(NetworkObjective(Network(layers), loss("mse")), halves)
    assert sum(nest.skipping is not None for nest in program.nests) >= 6
    for same, threads in product((False, True), (2, 3, 5)):
        assert not faults(program, threads, same=same)


@pytest.mark.parametrize(("halves", "threads"), [(0, 2), (0, 3), (2, 2), (2, 3)])
def test_a_wait_that_is_left_out_is_missed(halves, threads, made):
    program = made(SMALL, halves)
    missed = [bool(faults(program, threads, wait)) for wait in range(Run(program, threads).waits)]
    # Two nests by rows wait for each other, though it may happen that the rows are the same.
    assert sum(missed) > len(missed) / 2


@pytest.mark.parametrize("halves", [0, 2])
def test_processors_that_reorder_are_told_what_must_come_first(halves, made):
    """On AArch64 what is stored with release or loaded with acquire is, and nothing less."""
    given = made(SMALL, halves)
    program = BatchProgram(
        given.step, 4, threaded=True, chunks=halves, target=Target.named("aarch64")
    )
    text, assembly = program.code.text, program.code.assembly()

    def written(pattern: str) -> int:
        return len(re.findall(rf"^\s+(?:{pattern})\b", assembly, re.MULTILINE))

    assert text.count("release, align") == written("stlr|stlur") > 0
    assert text.count("acquire, align") == written("ldar|ldapr|ldapur") > 0
    assert text.count("acq_rel") == written("stlxr|ldaddal") == written("ldaxr|ldaddal") > 0


def test_what_every_thread_finds_by_itself_is_its_own(made):
    """Also where all of them find the same: nobody may read what another one is storing."""
    given = made(SMALL)
    program = BatchProgram(given.step, 8, threaded=True, blocked=True)
    layout, code = program.layout, Assembly()
    writer = EpochWriter(code, program.nests, layout)
    for buffer in (layout.total, layout.inverse, layout.keep):
        assert any(f"{writer.places[buffer].text} = alloca" in line for line in code.lines)
