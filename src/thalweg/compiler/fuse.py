"""From graph to loop nests: elementwise chains become one expression, moves become strides.

Each node that must be in memory becomes the root of a nest: results, operands of operations
that need addresses (reshape, gather), reductions, and what is used more than once. All other
nodes are written into the expressions of the nests that use them, seen through `views`: what
index of the node a given index of the nest corresponds to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.compiler.assemble import ASSEMBLERS, gathered
from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Number,
    Reduced,
    Reduction,
    Store,
)
from thalweg.compiler.pieces import assemble_pieces, inlined_pieces
from thalweg.compiler.views import VIEW_RULES, Index, View, unit, unit_reshape
from thalweg.graph import Node, topological
from thalweg.ops import Elementwise

__all__ = ["Fusion"]

REDUCTIONS = {"sum", "max", "min", "any", "all", "matmul"}

DEEPEST_EXPRESSION = 100


@dataclass
class Fusion:
    """Turns nodes into nests.

    Attributes
    ----------
    buffers : dict of Node to Buffer
        Inputs, results and everything else that is in memory.
    lanes : int
        Lanes of a panel; 0 where there are no samples.
    sampled : set of Node
        Nodes that have a value for every sample (see `thalweg.compiler.program`).
    destinations : dict of Node to Buffer
        Where results belong that are put together in place.
    inlined : set of Node
        Pieces of sums and sums of them that are terms of larger ones; see `pieces`.
    """

    buffers: dict[Node, Buffer]
    lanes: int = 0
    sampled: set[Node] = field(default_factory=set)
    destinations: dict[Node, Buffer] = field(default_factory=dict)
    inlined: set[Node] = field(default_factory=set)
    nests: list[Nest] = field(default_factory=list)
    temporaries: int = 0

    # -- which nodes are in memory ----------------------------------------------------------
    def put_together(self, node: Node) -> bool:
        """Whether a node is stored part by part, and not computed entry by entry."""
        return node.name in ASSEMBLERS or not self.inlined.isdisjoint(node.inputs)

    def prepare(self, outputs: Sequence[Node], themselves: bool = False) -> None:
        """Write nests for everything in memory that the outputs need (and `themselves`)."""
        nodes = topological(outputs)
        self.inlined |= inlined_pieces(nodes, set(outputs))
        self.destinations = {n: b for n, b in self.destinations.items() if self.put_together(n)}
        roots = self._roots(nodes) | set(outputs if themselves else ())
        for node in nodes:
            if node in roots and node not in self.buffers and node.primitive is not None:
                self._root(node)
            elif node.is_constant and node.size > 1 and node not in self.buffers:
                self._constant(node)

    def sum_over_samples(self, node: Node, buffer: Buffer, keep: Buffer | None = None) -> None:
        """Write a nest that adds a node up over the samples at hand into a buffer.

        Where `keep` is given and holds 1, what is in the buffer is kept and added to.
        """
        kept = [a for a, n in enumerate(node.shape) if n != 1]
        extents = tuple(node.shape[a] for a in kept)
        count = len(extents) + 2
        own = self.view(node, kept, 0, count)
        self._panel_axis, self._lane_axis = count - 2, count - 1
        value = self.expression(node, own, count)
        self._panel_axis = 0
        access = self._domain_access(buffer, own, len(extents))
        total: Expr = Reduced(0, node.dtype.name, frozenset(range(len(extents))))
        if keep is not None:
            flag = Load(Access(keep, (0,) * len(extents)))
            continued = Apply("greater", (flag, Number(0.0, flag.dtype)), "bool")
            longer = Apply("add", (Load(access), total), total.dtype)
            total = Apply("where", (continued, longer, total), total.dtype)
        reduced = (PANELS, self.lanes)
        store = Store(access, total)
        self.nests.append(Nest(extents, [store], reduced, [Reduction("sum", value)]))

    def add_parts(self, stack: Buffer, buffer: Buffer) -> None:
        """Write a nest that adds up the first axis of one buffer into another."""
        axes = tuple(range(len(buffer.shape)))
        part = Load(Access(stack, (*stack.strides[1:], stack.strides[0])))
        total = Reduced(0, buffer.dtype, frozenset(axes))
        store = Store(Access(buffer, buffer.strides), total)
        sums = [Reduction("sum", part)]
        self.nests.append(Nest(buffer.shape, [store], stack.shape[:1], sums))

    def copy(self, node: Node, buffer: Buffer) -> None:
        """Write a nest that copies a node to a buffer (merging then drops the detour)."""
        if self.buffers.get(node) is buffer:
            return
        extents, view, _ = self._frame(node)
        count = len(extents)
        self._lane_axis = count - 1
        value = self.expression(node, view, count)
        self.nests.append(Nest(extents, [Store(self.place(buffer, view, count), value)]))

    def _roots(self, nodes: Sequence[Node]) -> set[Node]:
        uses = Counter(i for node in nodes for i in node.inputs)
        elementwise = (node for node in nodes if isinstance(node.primitive, Elementwise))
        seen = {_sources(i) for node in elementwise for i in node.inputs}
        roots: set[Node] = set()
        for node in nodes:
            name = node.name
            if name == "gather" and node in seen and uses[node] == 1:
                pass  # picked where it is used
            elif (name in REDUCTIONS and not _is_outer(node)) or self.put_together(node):
                roots.add(node)
            if name in ("gather", "cumsum", "argmax", "argmin", "scatter_add"):
                roots.update(node.inputs)
            if name == "matmul":
                roots.update(_sources(i) for i in node.inputs)
            if name == "reshape" and not unit_reshape(node):
                roots.add(node.inputs[0])
            if name == "broadcast_to":
                roots.add(_sources(node.inputs[0]))
        depth: dict[Node, int] = {}
        for node in nodes:
            if uses[node] > 1:
                roots.add(_sources(node))
            deepest = max((depth[i] for i in node.inputs), default=0)
            if deepest >= DEEPEST_EXPRESSION:
                roots.add(node)
                deepest = 0
            depth[node] = 0 if node in roots else deepest + 1
        return {n for n in roots if n.primitive is not None} - self.inlined

    def _constant(self, node: Node) -> None:
        value = node.attributes["value"]
        self.buffers[node] = Buffer(
            f"k{len(self.buffers)}", node.shape, node.dtype.name, "constant", value=value
        )

    def buffer_for(self, node: Node, dtype: str = "") -> Buffer:
        """A temporary for a node (of another dtype, for what helps to find it)."""
        if node in self.destinations and not dtype:
            return self.destinations[node]
        shape = node.shape
        panels = node in self.sampled
        if panels:
            shape = (*shape, self.lanes)
        self.temporaries += 1
        name = f"t{self.temporaries}"
        return Buffer(name, shape, dtype or node.dtype.name, "temporary", panels)

    # -- roots ------------------------------------------------------------------------------
    def _frame(self, node: Node) -> tuple[tuple[int, ...], View, list[int]]:
        """Extents of the nest of a node, its view of itself, and where its own axes are.

        Axes of length one are left out, so that nests of equal work have equal domains.
        """
        kept = [a for a, n in enumerate(node.shape) if n != 1]
        lead = [PANELS] if node in self.sampled else []
        tail = [self.lanes] if node in self.sampled else []
        extents = (*lead, *(node.shape[a] for a in kept), *tail)
        return extents, self.view(node, kept, len(lead), len(extents)), kept

    def view(self, node: Node, kept: Sequence[int], start: int, count: int) -> View:
        """The view of a node whose axes `kept` are the nest's axes from `start`."""
        indices = [Index((0,) * count) for _ in node.shape]
        for k, axis in enumerate(kept):
            indices[axis] = Index(unit(start + k, count))
        return tuple(indices)

    def place(self, buffer: Buffer, view: View, count: int) -> Access:
        """The access of a buffer under a view of its (sample's) axes."""
        strides = [0] * count
        offset = 0
        sample_axes = buffer.strides[: len(view)]
        for index, step in zip(view, sample_axes, strict=True):
            offset += index.offset * step
            for k, s in enumerate(index.strides):
                strides[k] += s * step
        if buffer.panels:
            strides[self._panel_axis] += buffer.size
            strides[self._lane_axis] += 1
        return Access(buffer, tuple(strides), offset)

    _lane_axis: int = -1
    _panel_axis: int = 0

    def _root(self, node: Node) -> None:
        if node.name in ASSEMBLERS:
            ASSEMBLERS[node.name](self, node)
            return
        if not self.inlined.isdisjoint(node.inputs):
            assemble_pieces(self, node)
            return
        buffer = self.buffer_for(node)
        if node.name in REDUCTIONS and not _is_outer(node):
            nest = self._reduction(node, buffer)
        else:
            extents, view, _ = self._frame(node)
            self._lane_axis = len(extents) - 1
            value = self.expression(node, view, len(extents), top=True)
            nest = Nest(extents, [Store(self.place(buffer, view, len(extents)), value)])
        self.buffers[node] = buffer
        self.nests.append(nest)

    def _reduction(self, node: Node, buffer: Buffer) -> Nest:
        extents, _, kept = self._frame(node)
        lead = 1 if node in self.sampled else 0
        operand = node.inputs[0]
        if node.name == "matmul":
            gone = [node.ndim]  # the inner axis, numbered after the result's own
            lengths: tuple[int, ...] = (operand.shape[-1],)
        else:
            gone = [a for a in node.attributes["axes"] if operand.shape[a] != 1]
            lengths = tuple(operand.shape[a] for a in gone)
        count = len(extents) + len(lengths)
        self._lane_axis = len(extents) - 1
        own = self.view(node, kept, lead, count)
        inner = [Index(unit(len(extents) + k, count)) for k in range(len(lengths))]
        if node.name == "matmul":
            value = self._product(node, own, inner[0], count)
        else:
            value = self._reduced_operand(node, own, dict(zip(gone, inner, strict=True)), count)
        axes = frozenset(range(len(extents)))
        if not lengths:
            store = Store(self._domain_access(buffer, own, len(extents)), value)
            return Nest(extents, [store])
        result = Reduced(0, node.dtype.name, axes)
        kind = "sum" if node.name == "matmul" else node.name
        store = Store(self._domain_access(buffer, own, len(extents)), result)
        return Nest(extents, [store], lengths, [Reduction(kind, value)])

    def _domain_access(self, buffer: Buffer, view: View, count: int) -> Access:
        short = tuple(Index(i.strides[:count], i.offset) for i in view)
        return self.place(buffer, short, count)

    def _product(self, node: Node, own: View, inner: Index, count: int) -> Expr:
        a, b = node.inputs
        left = self.expression(a, (*own[:-1], inner), count)
        right = self.expression(b, (*own[:-2], inner, own[-1]), count)
        return Apply("multiply", (left, right), node.dtype.name)

    def _reduced_operand(
        self, node: Node, own: View, inner: Mapping[int, Index], count: int
    ) -> Expr:
        operand = node.inputs[0]
        remaining = iter(own)
        view = []
        for axis in range(operand.ndim):
            if axis in node.attributes["axes"]:
                view.append(inner.get(axis, Index((0,) * count)))
            else:
                view.append(next(remaining))
        value = self.expression(operand, tuple(view), count)
        if value.dtype == node.dtype.name:
            return value
        return Apply("cast", (value,), node.dtype.name)

    # -- expressions --------------------------------------------------------------------------
    def expression(self, node: Node, view: View, count: int, top: bool = False) -> Expr:
        """A node's value at the index that the view gives.

        Parameters
        ----------
        node : Node
        view : tuple of Index
            One for every axis of the node.
        count : int
            Axes of the nest, reduced ones included.
        top : bool
            Whether this node is the one being computed (and so is not loaded).
        """
        if not top and node in self.buffers:
            return Load(self.place(self.buffers[node], view, count))
        if node.is_constant:
            if node.size == 1:
                return Number(node.attributes["value"].item(), node.dtype.name)
            self._constant(node)
            return Load(self.place(self.buffers[node], view, count))
        if node.name in VIEW_RULES:
            return VIEW_RULES[node.name](self, node, view, count)
        if node.name == "gather":
            return gathered(self, node, view, count)
        if isinstance(node.primitive, Elementwise) or node.name in ("where", "cast"):
            args = tuple(self.expression(i, view, count) for i in node.inputs)
            return Apply(node.name, args, node.dtype.name)
        if _is_outer(node):
            zero = Index((0,) * count)
            return self._product(node, view, zero, count)
        lane = self._lane_axis
        self._root(node)
        self._lane_axis = lane
        return Load(self.place(self.buffers[node], view, count))


def _is_outer(node: Node) -> bool:
    """Whether a matrix product has an inner length of one: no sum, just products."""
    return node.name == "matmul" and node.inputs[0].shape[-1] == 1


def _sources(node: Node) -> Node:
    """What a chain of moves starts from."""
    while node.name in VIEW_RULES:
        node = node.inputs[0]
    return node
