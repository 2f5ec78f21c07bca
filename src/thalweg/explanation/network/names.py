"""What layers, neurons and weights are called: ``hidden 2 ← input 1``, ``w[1]₂,₁``.

Neurons and rows are counted from 1. A weight's name gives the neuron first and the input second,
as the row and column of W[l]; in words both ends are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from thalweg.errors import OptionError
from thalweg.explanation.notation import Math, call, power, replace, symbol
from thalweg.explanation.records import Sentence
from thalweg.nn.network import Network

__all__ = [
    "Columns",
    "activation",
    "at_entry",
    "bias",
    "described",
    "find_neuron",
    "layer_of",
    "link",
    "neuron",
    "weight",
    "weighted_sum",
]


@dataclass(frozen=True)
class Columns:
    """What inputs and outputs are called in the reader's table; empty where nobody said.

    Parameters
    ----------
    inputs, outputs : tuple of str
        One name for each neuron of the input and the output layer.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def input(self, index: int) -> str:
        """The column of an input, counted from 1; empty if it has no name."""
        return self.inputs[index - 1] if self.inputs else ""

    def output(self, index: int) -> str:
        """The column of an output, counted from 1; empty if it has no name."""
        return self.outputs[index - 1] if self.outputs else ""


NAMELESS = Columns()


def activation(layer: int, index: int) -> Math:
    """``a[l]ⱼ``; inputs are xⱼ."""
    return symbol(f"a[{layer}]", index) if layer else symbol("x", index)


def weighted_sum(layer: int, index: int) -> Math:
    """``z[l]ⱼ``."""
    return symbol(f"z[{layer}]", index)


def weight(layer: int, index: int, source: int) -> Math:
    """``w[l]ⱼ,ᵢ``: into neuron `index` from input `source`."""
    return symbol(f"w[{layer}]", index, source)


def bias(layer: int, index: int) -> Math:
    """``b[l]ⱼ``."""
    return symbol(f"b[{layer}]", index)


def layer_of(network: Network, layer: int) -> Sentence:
    """A layer in words."""
    if layer == 0:
        return Sentence("layer_input")
    if layer == len(network.layers):
        return Sentence("layer_output")
    if len(network.layers) == 2:
        return Sentence("layer_only_hidden")
    return Sentence("layer_hidden", {"layer": layer})


def neuron(network: Network, layer: int, index: int, columns: Columns = NAMELESS) -> Sentence:
    """A neuron in words: ``hidden 2``, ``output 1 (price)``, ``hidden 3 of layer 2``."""
    if layer == 0:
        name = columns.input(index)
        if not name:
            return Sentence("neuron_input", {"index": index})
        return Sentence("neuron_input_named", {"symbol": activation(0, index), "name": name})
    if layer == len(network.layers):
        name = columns.output(index)
        if not name:
            return Sentence("neuron_output", {"index": index})
        return Sentence("neuron_output_named", {"index": index, "name": name})
    if len(network.layers) == 2:
        return Sentence("neuron_hidden", {"index": index})
    return Sentence("neuron_hidden_of", {"index": index, "layer": layer})


def link(
    network: Network, layer: int, index: int, source: int, columns: Columns = NAMELESS
) -> Sentence:
    """A weight in words, both ends named: ``hidden 2 ← input 1``, or ``hidden 2 ← age``."""
    begin = neuron(network, layer - 1, source)
    if layer == 1 and columns.inputs:
        begin = Sentence("column", {"name": columns.input(source)})
    ends = {"target": neuron(network, layer, index), "source": begin}
    return Sentence("link", ends)


def described(network: Network) -> Sentence:
    """The network in a line: its layers and how many parameters it has."""
    layers = repr(network).removeprefix("Network ").rpartition(" (")[0]
    by_language = {"en": layers, "ko": layers.replace("no bias", "편향 없음")}
    return Sentence("network", {"layers": by_language, "count": network.count})


_NEURON = re.compile(
    r"\s*(?P<kind>hidden|output|은닉|출력)\s*(?P<index>\d+)"
    r"(?:\s*(?:of\s+layer|@|계층)\s*(?P<layer>\d+))?\s*"
)


def find_neuron(network: Network, text: str | tuple[int, int]) -> tuple[int, int]:
    """Layer and index of a neuron from its name.

    Parameters
    ----------
    network : Network
    text : str or (layer, index)
        ``"hidden 2"``, ``"output 1"``, ``"hidden 3 of layer 2"``, ``"2:3"`` (layer:neuron).

    Raises
    ------
    OptionError
        If the network has no such neuron.

    Examples
    --------
    >>> from thalweg.nn.network import Dense
    >>> net = Network([Dense(2, 3, "tanh"), Dense(3, 1)])
    >>> find_neuron(net, "hidden 2"), find_neuron(net, "output 1")
    ((1, 2), (2, 1))
    """
    layer, index = _read(network, text)
    sizes = network.sizes
    if not 1 <= layer < len(sizes):
        raise OptionError(
            "the network has layers 1 to {last}, not {layer}", last=len(sizes) - 1, layer=layer
        )
    if not 1 <= index <= sizes[layer]:
        raise OptionError(
            "layer {layer} has neurons 1 to {count}, not {index}",
            layer=layer,
            count=sizes[layer],
            index=index,
        )
    return layer, index


def _read(network: Network, text: str | tuple[int, int]) -> tuple[int, int]:
    if not isinstance(text, str):
        return text
    pair = re.fullmatch(r"\s*(\d+)\s*[:,]\s*(\d+)\s*", text)
    if pair:
        return int(pair[1]), int(pair[2])
    found = _NEURON.fullmatch(text.lower())
    if not found:
        raise OptionError(
            "{text!r} names no neuron: write 'hidden 2', 'output 1', or layer:neuron as in 1:2",
            text=text,
        )
    last = len(network.layers)
    if found["kind"] in ("output", "출력"):
        return last, int(found["index"])
    if found["layer"] is None and last != 2:
        raise OptionError(
            "the network has {count} hidden layers: write 'hidden {index} of layer 1', for example",
            count=last - 1,
            index=found["index"],
        )
    return int(found["layer"] or 1), int(found["index"])


def at_entry(formula: Math, *place: int) -> Math:
    """A formula of vectors at one entry; what is summed over all entries stays as it is.

    Examples
    --------
    >>> from thalweg.explanation.notation import hadamard
    >>> str(at_entry(hadamard(symbol("t"), symbol("a[2]")), 3))
    't₃ · a[2]₃'
    """

    def change(part: Math) -> Math | None:
        if part.head in ("total", "rowsum", "matmul"):
            return part
        if part.head == "call" and part.parts[0] in ("logsumexp", "norm"):
            return part
        if part.head == "call" and part.parts[0] in ("max", "min") and len(part.parts) == 2:
            return part
        if part.head == "symbol" and len(part.parts) == 1:
            return symbol(part.parts[0], *place)
        if part.head == "hadamard":
            a, b = (replace(p, change) for p in part.parts)
            return power(a, 2.0) if a == b else Math("times", (a, b))
        return None

    return replace(formula, change)


def primed(layer: int) -> Math:
    """``g'(Z[l])``: the slopes of a layer's activation."""
    return call("g'", symbol(f"Z[{layer}]"))
