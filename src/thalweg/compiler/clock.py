"""The numbers of a step in native code: once before the loop over steps, then once in each.

They are nests of no axes, like others; every thread has its own of them, so nobody waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.decompose import decompose
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.llvm import write_nest
from thalweg.compiler.loops import Buffer, Nest
from thalweg.compiler.numbers import TABLE, Numbers
from thalweg.compiler.target import Target
from thalweg.compiler.vectorise import vectorise
from thalweg.compiler.verify import verify
from thalweg.compiler.whole import Whole
from thalweg.graph import Node
from thalweg.ops.families import cast_to

__all__ = ["Clock", "ClockWriter", "clock"]


@dataclass(frozen=True)
class Clock:
    """Nests for the numbers of a step.

    Attributes
    ----------
    step, rate : Buffer
    settings : sequence of Buffer
        In the order of the table that `Numbers` makes,
    powers : sequence of Buffer
        and what comes from its powers.
    once, each : sequence of Nest
        Before all steps, and in every one.
    """

    step: Buffer
    rate: Buffer
    settings: Sequence[Buffer]
    powers: Sequence[Buffer]
    once: Sequence[Nest]
    each: Sequence[Nest]

    @property
    def variables(self) -> list[Buffer]:
        """What has a place in the function itself."""
        touched = (a.buffer for nest in (*self.once, *self.each) for a in nest.accesses())
        found = dict.fromkeys((self.step, self.rate, *self.powers, *touched))
        return [buffer for buffer in found if buffer not in self.settings]


def clock(numbers: Numbers, buffers: Mapping[Node, Buffer], target: Target) -> Clock:
    """Nests that compute numbers.

    Parameters
    ----------
    numbers : Numbers
    buffers : mapping of Node to Buffer
        Where the loop reads them.
    target : Target

    Returns
    -------
    Clock
    """
    inputs = (numbers.step, numbers.rate, *numbers.settings, *numbers.powers)
    known = {n: Buffer(f"n{k}", (), "float64", "input") for k, n in enumerate(inputs)}

    def nests(results: Mapping[Node, Node]) -> list[Nest]:
        fusion = Fusion(dict(known))
        wanted = decompose([cast_to(node, after.dtype) for after, node in results.items()])
        fusion.prepare(wanted)
        for after, node in zip(results, wanted, strict=True):
            fusion.copy(node, buffers[after])
        vectorise(fusion.nests, target)
        verify(fusion.nests, "numbers of a step")
        return fusion.nests

    step, rate, *others = (known[node] for node in inputs)
    count = len(numbers.settings)
    return Clock(
        step, rate, others[:count], others[count:], nests(numbers.once), nests(numbers.each)
    )


@dataclass(frozen=True)
class ClockWriter:
    """Writes the code of a clock.

    Attributes
    ----------
    code : Assembly
    clock : Clock
    table, rates : Value
        Pointers to what `Numbers` made for the steps of a call, and to a rate for each.
    places : mapping of Buffer to Value
        Where everything is that the nests touch.
    """

    code: Assembly
    clock: Clock
    table: Value
    rates: Value
    places: Mapping[Buffer, Value]

    def write_once(self) -> None:
        """What is the same at every step."""
        for nest in self.clock.once:
            write_nest(self.code, nest, self.places)

    def write_step(self, index: Value) -> None:
        """The numbers of a step, which is counted from the first of the call."""
        whole = Whole(self.code)
        before = self.code.emit("i64", f"fptosi {self._entry(self.table, 0)} to i64")
        following = whole.plus(before, 1)
        step = whole.plus(following, index)
        number = self.code.emit("double", f"sitofp {step} to double")
        self._store(number, self.clock.step)
        self._store(self._entry(self.rates, index), self.clock.rate)
        tables = whole.quotient(step, TABLE)
        near = whole.minus(step, whole.times(tables, TABLE))
        far = whole.minus(tables, whole.quotient(following, TABLE))
        first, count = 1 + len(self.clock.settings), len(self.clock.powers)
        row = whole.plus(whole.times(far, count), first + TABLE * count)
        for k, power in enumerate(self.clock.powers):
            places = whole.plus(near, first + TABLE * k), whole.plus(row, k)
            one, other = (self._entry(self.table, place) for place in places)
            self._store(self.code.emit("double", f"fmul {one}, {other.text}"), power)
        for nest in self.clock.each:
            write_nest(self.code, nest, self.places)

    def _entry(self, array: Value, place: Value | int) -> Value:
        at = place if isinstance(place, Value) else Value(str(place), "i64")
        pointer = self.code.emit("ptr", f"getelementptr double, {array}, {at}")
        return self.code.emit("double", f"load double, {pointer}")

    def _store(self, value: Value, buffer: Buffer) -> None:
        self.code.do(f"store {value}, {self.places[buffer]}")
