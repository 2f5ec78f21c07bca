"""A graph as readable NumPy code that runs.

Any traced function can be printed, also a gradient: labels become the names of variables,
what is used once is written where it is used, and what NumPy does by itself (broadcasting) is
left out. The printed code gives the interpreter's values bit for bit.

Examples
--------
>>> import thalweg as tw
>>> import thalweg.numpy as tnp
>>> print(source(tw.grad(lambda w, x, b: tnp.tanh(w * x + b))))
import numpy as np
<BLANKLINE>
<BLANKLINE>
def grad_f(w, x, b):
    t1 = np.tanh(w * x + b)
    return (1.0 - t1 * t1) * x
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.errors import ShapeError
from thalweg.graph import Node
from thalweg.ops.spreading import needed_whole
from thalweg.ops.written import Operands, Text, array_text, write
from thalweg.tracing import Traced, trace_tree
from thalweg.trees import Structure

__all__ = ["source"]

WIDTH = 88
INDENT = "    "
LONG_CONSTANT = 48


def source(f: Callable[..., Any], *example_args: Any) -> str:
    """Write a function as NumPy code that runs without thalweg.

    Parameters
    ----------
    f : callable
        Of arrays, or of dicts, lists and tuples of arrays; may be a derivative such as
        ``tw.grad(loss)``.
    *example_args
        Examples of its arguments, of which only shapes and dtypes matter. May be left out
        where every parameter can be one number.

    Returns
    -------
    str
        A module with one function, which takes arrays (NumPy numbers for single numbers) in the
        structure of the examples.

    Raises
    ------
    ShapeError
        If examples are left out and the function does not work on numbers.

    Examples
    --------
    >>> import thalweg as tw
    >>> print(source(lambda w, x, b: w * x + b))
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def f(w, x, b):
        return w * x + b
    """
    traced = _traced(f, example_args)
    name = re.sub(r"<lambda>", "f", getattr(f, "__name__", "f"))
    return _Page(traced, _parameters(f, len(traced.arguments.children)), _identifier(name)).text()


def _traced(f: Callable[..., Any], example_args: Sequence[Any]) -> Traced:
    if example_args:
        return trace_tree(f, example_args)
    required = [
        p
        for p in inspect.signature(f).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    try:
        return trace_tree(f, [0.0] * len(required))
    except Exception as error:
        raise ShapeError(
            "source(f) without example arguments takes every parameter for one number, "
            "and that failed ({error}). Give examples: source(f, {names}).",
            error=error,
            names=", ".join(p.name for p in required),
        ) from error


def _parameters(f: Callable[..., Any], count: int) -> list[str]:
    try:
        names = [
            p.name
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        names = []
    return [names[k] if k < len(names) else f"x{k + 1}" for k in range(count)]


def _identifier(label: str) -> str:
    """A label as a Python name: ``W[1]`` is ``W1``, ``params[0]['W']`` is ``params_0_W``."""
    name = re.sub(r"\[(\d+)\]$", r"\1", label)
    name = re.sub(r"\W+", "_", name).strip("_") or "x"
    name = f"x{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) else name


class _Page:
    """The text of one function while it is written."""

    def __init__(self, traced: Traced, parameters: list[str], name: str) -> None:
        self.graph, self.traced = traced.graph, traced
        self.nodes = self.graph.nodes()
        self.helpers = self._helpers()
        self.taken = {"np", *self.helpers}
        self.name = self._reserve(name)
        self.parameters = [self._reserve(parameter) for parameter in parameters]
        self.labels = self.graph.label_of()
        self.uses = _uses(self.nodes, self.graph.outputs)
        self.operands = Operands(self._operand, self._inline, needed_whole(self.nodes))
        self.written: dict[Node, Text] = {}
        self.named: set[Node] = set()
        self.lines: list[str] = []
        self.constants: list[str] = []
        self.count = 0

    def text(self) -> str:
        """The whole module."""
        unpacking = self._unpack()
        for node in self.nodes:
            if node not in self.written:
                self._add(node)
        result = self._result()
        head = f"def {self.name}({', '.join(self.parameters)}):"
        body = "\n".join(INDENT + line for line in [*unpacking, *self.lines, *result])
        parts = ["import numpy as np"]
        if self.constants:
            parts[0] += "\n\n" + "\n".join(self.constants)
        return "\n\n\n".join([*parts, *self.helpers.values(), f"{head}\n{body}"])

    # -- inputs -----------------------------------------------------------------
    def _unpack(self) -> list[str]:
        """Give the leaves of the arguments names; return the lines that take them out."""
        inputs = iter(self.graph.inputs)
        groups: dict[str, list[tuple[Node, str]]] = {}
        for parameter, structure in zip(
            self.parameters, self.traced.arguments.children, strict=True
        ):
            for path in _leaf_paths(structure, parameter):
                node = next(inputs)
                if path == parameter:
                    self._call(node, parameter)
                elif self.uses[node]:
                    group = path.rpartition("[")[0]
                    groups.setdefault(group, []).append((node, path))
        last = [
            re.sub(r"\W", "", path.rpartition("[")[2]) for g in groups.values() for _, path in g
        ]
        lines = []
        for leaves in groups.values():
            names = [self._leaf_name(node, path, last) for node, path in leaves]
            together = f"{', '.join(names)} = {', '.join(path for _, path in leaves)}"
            if len(INDENT + together) <= WIDTH:
                lines.append(together)
            else:
                lines += [f"{n} = {path}" for n, (_, path) in zip(names, leaves, strict=True)]
        return lines

    def _leaf_name(self, node: Node, path: str, last: Sequence[str]) -> str:
        label = self.labels.get(node, path)
        key = re.sub(r"\W", "", path.rpartition("[")[2])
        if "'" in label or '"' in label or label == path:  # nobody gave it a name of its own
            label = key if key.isidentifier() and last.count(key) == 1 else label
        return self._call(node, self._fresh(_identifier(label)))

    # -- operations -------------------------------------------------------------
    def _add(self, node: Node) -> None:
        text = write(node, self.operands)
        self.written[node] = text
        if node.name == "broadcast_to" or text.weak:
            return
        if node.is_constant:
            if len(text.text) > LONG_CONSTANT or (node.ndim and self.uses[node] > 1):
                self._constant(node)
            return
        while len(INDENT) + len(text.text) + 8 > WIDTH:
            widest = self._widest_operand(node)
            if widest is None:
                break
            self._assign(widest)
            text = self.written[node] = write(node, self.operands)
        if self._is_result(node) and self.uses[node] == 1 and self._fits(text):
            return
        if node in self.labels or (self.uses[node] > 1 and not self._is_view(node)):
            self._assign(node)

    def _operand(self, node: Node) -> Text:
        return self.written[node]

    def _inline(self, node: Node) -> bool:
        return node not in self.named and self.uses[node] == 1

    def _is_result(self, node: Node) -> bool:
        """Whether this one array is all that is returned."""
        return len(self.graph.outputs) == 1 and node is self.graph.outputs[0]

    def _fits(self, text: Text) -> bool:
        return len(INDENT) + len(text.text) + len("return ") <= WIDTH

    def _is_view(self, node: Node) -> bool:
        """``W.T``, ``x[:, None]``: short, free, and clearer where it is used."""
        return node.name in ("transpose", "reshape", "slice") and node.inputs[0] in self.named

    def _widest_operand(self, node: Node) -> Node | None:
        """The longest operand that has no line of its own yet."""
        found, best = None, 12
        stack = list(node.inputs)
        while stack:
            child = stack.pop()
            if child.name in ("broadcast_to", "reshape", "transpose"):
                stack.extend(i for i in child.inputs if child not in self.named)
            if child in self.named or child.primitive is None or child.name == "broadcast_to":
                continue
            if len(self.written[child].text) > best:
                found, best = child, len(self.written[child].text)
        return found

    def _assign(self, node: Node) -> None:
        label = self.labels.get(node)
        text = self.written[node].text
        if label is None:
            self.count += 1
            label = f"t{self.count}"
        shape = self.written[node].shape
        name = self._call(node, self._fresh(_identifier(label)))
        self.written[node] = Text(name, 100, shape)
        self.lines.append(f"{name} = {text}")
        self._refresh(node)

    def _refresh(self, node: Node) -> None:
        """Write views of the node again, now by its name."""
        for other, text in self.written.items():
            if other.name == "broadcast_to" and other.inputs[0] is node and other is not node:
                self.written[other] = Text(self.written[node].text, 100, text.shape)
            elif (
                other.name in ("reshape", "transpose")
                and other not in self.named
                and other.inputs[0] is node
            ):
                self.written[other] = write(other, self.operands)

    def _constant(self, node: Node) -> None:
        self.named.add(node)
        name = self._fresh(f"c{len(self.constants) + 1}")
        self.constants.append(f"{name} = {array_text(node.attributes['value'])}")
        self.written[node] = Text(name, 100, node.shape)

    def _call(self, node: Node, name: str) -> str:
        self.taken.add(name)
        self.named.add(node)
        self.written[node] = Text(name, 100, node.shape)
        return name

    def _fresh(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    def _reserve(self, name: str) -> str:
        name = self._fresh(name)
        self.taken.add(name)
        return name

    # -- result and helpers -------------------------------------------------------
    def _result(self) -> list[str]:
        leaves = iter([self.operands.full(node).text for node in self.graph.outputs])
        tree = _tree(self.traced.result, leaves)
        line = f"return {_flat(tree)}"
        if len(INDENT + line) <= WIDTH:
            return [line]
        return f"return {_spread(tree)}".split("\n")

    def _helpers(self) -> dict[str, str]:
        """The definitions of functions that NumPy does not have, by name."""
        found = {}
        for node in self.nodes:
            helper = node.primitive.helper if node.primitive else None
            constant_power = node.name == "power" and _constant_exponent(node)
            if helper is not None and not constant_power:
                found[helper.__name__.lstrip("_")] = _definition(helper)
        return dict(sorted(found.items()))


def _constant_exponent(node: Node) -> bool:
    exponent = node.inputs[1]
    while exponent.name == "broadcast_to":
        exponent = exponent.inputs[0]
    return exponent.is_constant and exponent.size == 1


def _uses(nodes: Sequence[Node], outputs: Sequence[Node]) -> Counter[Node]:
    """How often a node is read, seen through broadcasts, which are no lines of their own."""
    uses = Counter(outputs)
    for node in reversed(nodes):
        if node.name == "broadcast_to":
            uses[node.inputs[0]] += uses[node]
        else:
            uses.update(node.inputs)
    return uses


def _leaf_paths(structure: Structure, prefix: str) -> list[str]:
    """Where each leaf is, as Python: ``params[0]["W"]``."""
    if structure.kind is None:
        return [prefix]
    keys = structure.keys or range(len(structure.children))
    found = []
    for key, child in zip(keys, structure.children, strict=True):
        written = f'"{key}"' if isinstance(key, str) else repr(key)
        found += _leaf_paths(child, f"{prefix}[{written}]")
    return found


def _tree(structure: Structure, leaves: Any) -> Any:
    """The result as nested (opening, items, closing), items with their keys, or leaf texts."""
    if structure.kind is None:
        return next(leaves)
    if structure.kind is type(None):
        return "None"
    children = [_tree(child, leaves) for child in structure.children]
    if structure.kind is dict:
        written = [f'"{k}": ' if isinstance(k, str) else f"{k!r}: " for k in structure.keys]
        return "{", list(zip(written, children, strict=True)), "}"
    opening, closing = ("[", "]") if structure.kind is list else ("(", ")")
    if len(children) == 1 and opening == "(":
        closing = ",)"
    return opening, [("", child) for child in children], closing


def _flat(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    opening, items, closing = tree
    return str(opening) + ", ".join(key + _flat(item) for key, item in items) + str(closing)


def _spread(tree: Any) -> str:
    """One item a line, where an item fits a line."""
    if isinstance(tree, str) or len(_flat(tree)) <= WIDTH - 12:
        return _flat(tree)
    opening, items, closing = tree
    lines = [textwrap.indent(key + _spread(item) + ",", INDENT) for key, item in items]
    return "\n".join([opening, *lines, closing.lstrip(",")])


def _definition(helper: Callable[..., Any]) -> str:
    """The code of a helper, without annotations and without the underscore."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(helper))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.name = tree.name.lstrip("_")
    tree.returns = None
    arguments = tree.args
    for argument in [*arguments.args, *arguments.kwonlyargs, arguments.vararg]:
        if argument is not None:
            argument.annotation = None
    return ast.unparse(tree)
