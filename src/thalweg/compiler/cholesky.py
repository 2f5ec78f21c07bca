r"""Cholesky's factors and the solution of a definite system, as one native function.

What a loop nest cannot say, because every block of columns needs those before it, is written here
by hand. The lower triangle is kept in **panels** of B rows, B being two vectors, each column by
column down to the panel's own diagonal block; lanes lie along the rows. For the j-th block of B
columns and every panel i > j

.. math:: L_{ij} = \Bigl(A_{ij} - \sum_{k<j} L_{ik} L_{jk}^\top\Bigr)\, L_{jj}^{-\top} .

The sum is a matrix product whose accumulators stay in registers; a panel is read as it lies in
memory. A block that is known is taken off its panel's own diagonal block and, times
:math:`y_j = L_{jj}^{-1} b_j`, off the right side b: Ly = b is solved on the way. Threads share the
panels and meet once for a block of columns; each factorises :math:`L_{jj}` for itself, which is
quicker than to wait for it. A panel's numbers are computed by one thread, in one order: the bits do
not depend on the number of threads.

References
----------
E. Anderson et al., LAPACK Users' Guide, SIAM (1999), section "Block algorithms" (left-looking).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from thalweg.compiler.assembly import Assembly, Builder, Value
from thalweg.compiler.mailbox import PARAMETERS
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.target import Target, host
from thalweg.compiler.threads import BARRIER_BYTES, write_barrier
from thalweg.compiler.whole import Whole

__all__ = ["GATHERED", "cholesky_code", "panel_rows", "work_bytes"]

GATHERED = 3
"""Which word of the task says whether the panels are filled from numbers that stand elsewhere."""

PANELS, LAST = Value("%w1", "i64"), Value("%w2", "i64")
"""The words before: the number of panels, and rows of the last one that the matrix has."""

ITEM = 8
"""Bytes of a number."""

ZERO, THREADS = Value("0", "i64"), Value("%threads", "i64")


def panel_rows(target: Target | None = None) -> int:
    """Rows of a panel."""
    return 2 * (target or host()).lanes(ITEM)


def work_bytes(threads: int, target: Target | None = None) -> int:
    """Workspace: where threads meet, and for each a diagonal block, zeroed before the first call.

    Behind its columns are the reciprocals of its diagonal, and the block's part of y.
    """
    rows = panel_rows(target)
    return BARRIER_BYTES + threads * rows * (rows + 2) * ITEM


def cholesky_code(target: Target | None = None) -> NativeCode:
    """The function, a native task.

    The first word is a table that points to the panels, to the right side, which becomes the
    solution, to the workspace, and to what is added to the diagonal, 1 behind the matrix. Where
    panels are gathered, it also points to numbers, and to the place among them of every entry of
    the panels. The last number of the right side, behind all panels, becomes 1 if the matrix is
    definite, else 0.
    """
    target = target or host()
    writer = _Writer(target.lanes(ITEM), columns=_columns(target))
    writer.write()
    return NativeCode(module_text(writer.code, "cholesky", PARAMETERS), "cholesky", target)


def _columns(target: Target) -> int:
    """Columns whose sums are kept in registers, beside two vectors and a number."""
    columns = panel_rows(target)
    while 2 * columns + 3 > target.registers:
        columns //= 2
    return columns


class _Writer:
    """Writes the function for vectors of some lanes.

    `columns` of a block are summed up at once; their number divides that of a block's columns.
    """

    def __init__(self, lanes: int, columns: int) -> None:
        self.code = Assembly()
        self.whole = Whole(self.code)
        self.lanes, self.columns, self.rows = lanes, columns, 2 * lanes
        self.vector = Builder(self.code, lanes, "float64")
        self.single = Builder(self.code, 1, "float64")

    def write(self) -> None:
        """Fill the panels, factorise, then solve."""
        code, panels = self.code, PANELS
        self.matrix, self.right, self.work, self.added = (self._pointer(k) for k in range(4))
        block = self.rows * (self.rows + 2)
        at = self._offset(Value("%thread", "i64"), block, BARRIER_BYTES // ITEM)
        self.own = self._place(self.work, at)
        self.inverses = self._element(self.own, self.rows * self.rows)
        self.known = self._element(self.inverses, self.rows)
        end = self._offset(panels, self.rows)
        self.verdict = self._place(self.right, end)
        code.do(f"store double 1.0, {self.verdict}")
        code.loop(Value("%thread", "i64"), panels, THREADS, self._fill)
        write_barrier(code, self.work, THREADS)
        code.loop(ZERO, panels, 1, self._block_column)
        first = code.emit("i1", "icmp eq i64 %thread, 0")
        code.when(first, partial(self._solve, panels))

    # -- the matrix -----------------------------------------------------------------------------
    def _fill(self, i: Value, carried: Sequence[Value]) -> list[Value]:
        """One panel: each thread fills its own, which it then has in its cache."""
        code, whole = self.code, self.whole
        gathered = code.emit("i1", f"icmp ne i64 %w{GATHERED}, 0")
        code.when(gathered, partial(self._gather, i))
        last = code.emit("i1", f"icmp eq i64 {whole.plus(i, 1).text}, {PANELS.text}")
        code.when(last, partial(self._clear, i))
        before = self._offset(i, self.rows)
        for c in range(self.rows):
            place = self._element(self._column(self._panel(i), before, c), c)
            more = self._number(self._element(self._place(self.added, before), c))
            self._put(self.single.fadd(self._number(place), more), place)
        return []

    def _gather(self, i: Value) -> None:
        """Entries from where they stand."""
        code, numbers, places = self.code, self._pointer(4), self._pointer(5)

        def entries(at: Value, carried: Sequence[Value]) -> list[Value]:
            for k in range(self.rows):
                place = self._element(self._place(places, at), k)
                entry = code.emit("i64", f"load i64, {place}, align 8")
                number = self._number(self._place(numbers, entry))
                self._put(number, self._element(self._place(self.matrix, at), k))
            return []

        code.loop(self._start(i), self._start(self.whole.plus(i, 1)), self.rows, entries)

    def _clear(self, i: Value) -> None:
        """Zeros below the matrix, in all columns of the last panel."""
        whole, panel, height = self.whole, self._panel(i), Value(str(self.rows), "i64")

        def column(number: Value, carried: Sequence[Value]) -> list[Value]:
            self.code.loop(LAST, height, 1, partial(entry, self._offset(number, self.rows)))
            return []

        def entry(start: Value, row: Value, carried: Sequence[Value]) -> list[Value]:
            place = self._place(panel, whole.plus(start, row))
            self.code.do(f"store double 0.0, {place}, align 8")
            return []

        self.code.loop(ZERO, self._offset(whole.plus(i, 1), self.rows), 1, column)

    # -- one block of columns -------------------------------------------------------------------
    def _block_column(self, j: Value, carried: Sequence[Value]) -> list[Value]:
        code = self.code
        head = self._panel(j)
        before = self._offset(j, self.rows)
        self._diagonal_block(head, before)
        own = self._first_own(self.whole.plus(j, 1))

        def panel(i: Value, carried: Sequence[Value]) -> list[Value]:
            self._block(self._panel(i), head, before)
            self._take_off(i, before)
            return []

        code.loop(own, PANELS, THREADS, panel)
        write_barrier(code, self.work, THREADS)
        first = code.emit("i1", "icmp eq i64 %thread, 0")  # nobody reads the old ones any more
        code.when(first, partial(self._keep, head, before))
        return []

    def _take_off(self, i: Value, before: Value) -> None:
        """Take a block off its panel's diagonal block and off the right side."""
        rows, v, panel, own = self.rows, self.vector, self._panel(i), self._offset(i, self.rows)
        block, width = self._column(panel, before, 0), Value(str(rows), "i64")
        for start in range(0, rows, self.columns):
            sums = self._products(block, block, width, start)
            for c, pair in enumerate(sums, start):
                place = self._column(panel, own, c)
                left = [v.fsub(a, s) for a, s in zip(self._pair(place), pair, strict=True)]
                self._store_pair(place, left)
        place = self._place(self.right, own)
        left = self._pair(place)
        for c in range(rows):
            scale = v.fneg(self._broadcast(self._element(self.known, c)))
            left = self._added(self._pair(self._element(block, rows * c)), scale, left)
        self._store_pair(place, left)

    def _first_own(self, i: Value) -> Value:
        """The thread's first panel from the i-th on: it keeps its panels in its own cache."""
        thread, whole = Value("%thread", "i64"), self.whole
        rounds = whole.parts(whole.minus(i, thread), THREADS)
        return whole.plus(whole.times(rounds, THREADS), thread)

    def _diagonal_block(self, head: Value, before: Value) -> None:
        """Factorise what is left of a diagonal block, in this thread's workspace, and solve."""
        rows, v = self.rows, self.vector
        for c in range(rows):
            pair = self._pair(self._column(head, before, c))
            self._store_pair(self._element(self.own, rows * c), pair)
        rest, solved = self._pair(self._place(self.right, before)), []
        for c in range(rows):
            place = self._element(self.own, rows * c)
            pivot = self._number(self._element(place, c))
            self._judge(pivot)
            root = self.single.sqrt(pivot)
            inverse = self.single.fdiv(self.single.constant(1.0), root)
            self._put(inverse, self._element(self.inverses, c))
            factor = self._spread(inverse)
            column = [v.fmul(a, factor) for a in self._pair(place)]
            self._store_pair(place, column)
            self._store_pair(self.known, rest)
            found = self.single.fmul(self._number(self._element(self.known, c)), inverse)
            rest = self._added(column, v.fneg(self._spread(found)), rest)
            solved.append(found)
            for later in range(c + 1, rows):
                target = self._element(self.own, rows * later)
                scale = v.fneg(self._broadcast(self._element(place, later)))
                self._store_pair(target, self._added(column, scale, self._pair(target)))
        for c, found in enumerate(solved):
            self._put(found, self._element(self.known, c))

    def _judge(self, pivot: Value) -> None:
        """Note a pivot that is not positive, or not a number."""
        bad = self.single.any(self.single.fcmp("ule", pivot, self.single.constant(0.0)))
        self.code.when(bad, lambda: self.code.do(f"store double 0.0, {self.verdict}"))

    def _block(self, panel: Value, head: Value, before: Value) -> None:
        """One block of L below the diagonal: the sum, then the triangular system."""
        rows, v = self.rows, self.vector
        for start in range(0, rows, self.columns):
            sums = self._products(panel, head, before, start)
            places = [self._column(panel, before, c) for c in range(start + self.columns)]
            found = [
                [v.fsub(a, s) for a, s in zip(self._pair(place), pair, strict=True)]
                for place, pair in zip(places[start:], sums, strict=True)
            ]
            for c in range(start):  # columns of this block that were solved for before
                done = self._pair(places[c])
                for k, at in enumerate(range(start, start + self.columns)):
                    scale = v.fneg(self._broadcast(self._element(self.own, rows * c + at)))
                    found[k] = self._added(done, scale, found[k])
            for k, at in enumerate(range(start, start + self.columns)):
                inverse = self._broadcast(self._element(self.inverses, at))
                found[k] = [v.fmul(a, inverse) for a in found[k]]
                self._store_pair(places[at], found[k])
                for later in range(k + 1, self.columns):
                    entry = self._element(self.own, rows * at + start + later)
                    scale = v.fneg(self._broadcast(entry))
                    found[later] = self._added(found[k], scale, found[later])

    def _products(self, panel: Value, head: Value, before: Value, start: int) -> list[list[Value]]:
        """The sums for some columns of a block, over all columns before it."""

        def add(k: Value, carried: Sequence[Value]) -> list[Value]:
            at = self._offset(k, self.rows)
            left = self._pair(self._place(panel, at))
            line = self._place(head, at)
            sums: list[Value] = []
            for c in range(self.columns):
                scale = self._broadcast(self._element(line, start + c))
                sums += self._added(left, scale, carried[2 * c : 2 * c + 2])
            return sums

        zeros = [self.vector.constant(0.0)] * (2 * self.columns)
        sums = self.code.loop(ZERO, before, 1, add, zeros)
        return [sums[2 * c : 2 * c + 2] for c in range(self.columns)]

    def _keep(self, head: Value, before: Value) -> None:
        """Copy a diagonal block's factor and part of y to where they belong.

        Zeros above the diagonal: one bad matrix must not spoil the next.
        """
        for c in range(self.rows):
            place = self._element(self.own, self.rows * c)
            self._store_pair(self._column(head, before, c), self._below(self._pair(place), c))
        self._store_pair(self._place(self.right, before), self._pair(self.known))

    def _below(self, pair: Sequence[Value], c: int) -> list[Value]:
        """The entries from the c-th on; zeros before them."""
        type, kept = self.vector.type, []
        for first, value in zip((0, self.lanes), pair, strict=True):
            mask = ", ".join(f"i1 {int(first + k >= c)}" for k in range(self.lanes))
            condition = f"<{self.lanes} x i1> <{mask}>"
            kept.append(
                self.code.emit(type, f"select {condition}, {value}, {type} zeroinitializer")
            )
        return kept

    # -- the triangular system that is left -------------------------------------------------------
    def _solve(self, panels: Value) -> None:
        """Lᵀ x = y, from the last panel back."""

        def back(number: Value, carried: Sequence[Value]) -> list[Value]:
            self._backward(self.whole.minus(self.whole.minus(panels, number), 1))
            return []

        self.code.loop(ZERO, panels, 1, back)

    def _backward(self, i: Value) -> None:
        v, code, panel, before = self.vector, self.code, self._panel(i), self._offset(i, self.rows)
        right = self.right
        own = self._place(right, before)
        for c in reversed(range(self.rows)):
            column, place = self._column(panel, before, c), self._element(own, c)
            rest = self._number(place)
            for later in range(c + 1, self.rows):
                known = self._number(self._element(own, later))
                entry = self.single.fneg(self._number(self._element(column, later)))
                rest = self.single.muladd(entry, known, rest)
            self._put(self.single.fdiv(rest, self._number(self._element(column, c))), place)
        found = self._pair(own)

        def subtract(k: Value, carried: Sequence[Value]) -> list[Value]:
            pair = self._pair(self._place(panel, self._offset(k, self.rows)))
            products = v.muladd(pair[0], found[0], v.fmul(pair[1], found[1]))
            reduce = f"llvm.vector.reduce.fadd.v{self.lanes}f64"
            total = code.call("double", reduce, Value("0.0", "double"), products, flags="reassoc")
            place = self._place(right, k)
            old = code.emit("double", f"load double, {place}, align 8")
            new = code.emit("double", f"fsub double {old.text}, {total.text}")
            code.do(f"store {new}, {place}, align 8")
            return []

        code.loop(ZERO, before, 1, subtract)

    # -- places and numbers ---------------------------------------------------------------------
    def _pointer(self, k: int) -> Value:
        place = self.code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {k}")
        return self.code.emit("ptr", f"load ptr, {place}")

    def _panel(self, i: Value) -> Value:
        return self._place(self.matrix, self._start(i))

    def _start(self, i: Value) -> Value:
        """Where a panel begins: behind panels of B, 2B, ... columns."""
        twice = self.whole.times(i, self.whole.plus(i, 1))
        return self._offset(twice, self.rows * self.rows // 2)

    def _column(self, panel: Value, before: Value, c: int) -> Value:
        """The c-th column of a panel's block that begins at column `before`."""
        return self._place(panel, self._offset(before, self.rows, c * self.rows))

    def _offset(self, index: Value, factor: int, start: int = 0) -> Value:
        scaled = self.whole.times(index, factor)
        return self.whole.plus(scaled, start) if start else scaled

    def _place(self, base: Value, index: Value) -> Value:
        return self.code.emit("ptr", f"getelementptr double, {base}, {index}")

    def _element(self, base: Value, number: int) -> Value:
        return self._place(base, Value(str(number), "i64"))

    def _pair(self, place: Value) -> list[Value]:
        """Two vectors."""
        ends = (place, self._element(place, self.lanes))
        return [self.code.emit(self.vector.type, f"load {self.vector.type}, {p}") for p in ends]

    def _store_pair(self, place: Value, pair: Sequence[Value]) -> None:
        for end, value in zip((place, self._element(place, self.lanes)), pair, strict=True):
            self.code.do(f"store {value}, {end}")

    def _added(self, pair: Sequence[Value], scale: Value, to: Sequence[Value]) -> list[Value]:
        return [self.vector.muladd(a, scale, b) for a, b in zip(pair, to, strict=True)]

    def _number(self, place: Value) -> Value:
        return self.code.emit(self.single.type, f"load {self.single.type}, {place}, align 8")

    def _put(self, number: Value, place: Value) -> None:
        self.code.do(f"store {number}, {place}, align 8")

    def _spread(self, number: Value) -> Value:
        """A number in every lane."""
        undef = f"{self.single.type} undef"
        mask = f"<{self.lanes} x i32> zeroinitializer"
        return self.code.emit(self.vector.type, f"shufflevector {number}, {undef}, {mask}")

    def _broadcast(self, place: Value) -> Value:
        return self._spread(self._number(place))
