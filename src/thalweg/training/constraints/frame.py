"""A network in the units of its table: what constraints are written in.

Examples
--------
>>> import numpy as np
>>> from thalweg.nn.network import Dense, Network
>>> from thalweg.training.data import Purpose, from_arrays
>>> X = np.array([[0.0], [10.0], [20.0]])
>>> data = from_arrays(X, np.array([100.0, 200.0, 300.0]), Purpose())
>>> frame = Frame.of(data, Network([Dense(1, 1)]))
>>> frame.function([{"W": np.ones((1, 1)), "b": np.zeros(1)}])(np.array([20.0]))
array([300.])
>>> frame.low, frame.high
(array([0.]), array([20.]))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.differentiation import grad
from thalweg.errors import OptionError, suggest
from thalweg.graph import Node
from thalweg.nn.activations import Activation
from thalweg.nn.network import Network, Params
from thalweg.training.constraints.links import LINKS, Link
from thalweg.training.data import Data, table_of_rows
from thalweg.training.encoding import Encoding
from thalweg.training.predictors import CategoryColumn
from thalweg.training.units import unit_sizes

__all__ = ["Frame", "Function", "Vector"]

Vector = NDArray[np.float64]
Function = Callable[[Any], Any]
"""A network with its weights put in: from inputs in their own units to outputs in theirs."""

BESIDE = 1e-6
"""How far from a kink slopes are compared; what differs by less is no jump."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A network, its columns and their ranges.

    Attributes
    ----------
    network : Network
    encoding : Encoding
    low, high : array of shape (n[0],)
        Ranges of the inputs over the table, before scaling.
    input_sizes, output_sizes : array
        One scaled unit in the own unit of every input and output.
    output_zeros : array
        What a scaled zero is in the own unit of every output.
    """

    network: Network
    encoding: Encoding
    low: Vector
    high: Vector
    input_sizes: Vector
    output_sizes: Vector
    output_zeros: Vector

    @classmethod
    def of(cls, data: Data, network: Network) -> Frame:
        """The frame of samples and a network."""
        encoding = data.encoding
        inputs = encoding.input_scaling.undo(data.X)
        zeros = encoding.target_scaling.undo(np.zeros((1, data.T.shape[1])))[0]
        return cls(
            network,
            encoding,
            inputs.min(axis=0),
            inputs.max(axis=0),
            unit_sizes(encoding.input_scaling, data.X.shape[1]),
            unit_sizes(encoding.target_scaling, data.T.shape[1])[: network.outputs],
            zeros[: network.outputs],
        )

    # -- the network --------------------------------------------------------------------------
    def function(self, params: Params) -> Function:
        """The network with weights, in own units.

        It takes inputs of shape (n[0],) or (m, n[0]) and gives outputs of shape (n[L],) or
        (m, n[L]); a network of one input takes a number, too, and gives one if it has one output.
        """

        def f(x: Any) -> Any:
            x = x if isinstance(x, Node) else np.asarray(x, np.float64)
            if x.ndim == 0 and self.network.inputs == 1:
                y = f(x.reshape(1))
                return y[0] if self.network.outputs == 1 else y
            inputs = self.encoding.input_scaling.apply(x)
            return self.encoding.target_scaling.undo(self.network(params, inputs))

        return f

    def part(self, params: Params, output: int, linked: bool) -> Function:
        """One output in its own unit, or its link, as a function of one point."""
        if not linked:
            return lambda x: self.function(params)(x)[output]
        link = self.link
        assert link is not None

        def linked_output(x: Any) -> Any:
            inputs = self.encoding.input_scaling.apply(x)
            return link.of(self._before_the_last(params, inputs), output)

        return linked_output

    @property
    def link(self) -> Link | None:
        """How outputs are said without saturation, where they saturate."""
        g = self.network.layers[-1].g
        return LINKS.get(g.name) if g.entrywise or self.network.outputs > 1 else None

    @cached_property
    def smooth(self) -> bool:
        """Whether derivatives by the inputs never jump."""
        return not any(layer.g.kinks for layer in self.network.layers)

    def jumping(self, sign: int) -> Activation | None:
        """An activation whose slope jumps so that outputs may bend the other way there.

        The last one may jump the way that outputs are to bend.
        """
        *layers, last = (layer.g for layer in self.network.layers)
        bad = [g for g in layers if _jumps(g).any()]
        return next(iter([*bad, *[last] * bool((sign * _jumps(last) < 0.0).any())]), None)

    @cached_property
    def _before_the_last(self) -> Network:
        """The network up to what enters the last activation."""
        *layers, last = self.network.layers
        return Network([*layers, replace(last, activation="identity")])

    def output_range(self, output: int) -> tuple[float, float]:
        """The ends of what an output can be, in its own unit."""
        ends = np.array(self.network.layers[-1].g.range)
        low, high = self.output_zeros[output] + self.output_sizes[output] * ends
        return float(low), float(high)

    def linked_limit(self, value: float, output: int) -> float:
        """The link's value where an output, within its range, has one."""
        assert self.link is not None
        return self.link.inverse((value - self.output_zeros[output]) / self.output_sizes[output])

    def link_slopes(self, theta: Vector, X: Vector, output: int) -> Vector:
        """The output's derivative by its link at points, in its own unit, shape (m,)."""
        assert self.link is not None
        Y = self.network(self.params(theta), self.encoding.input_scaling.apply(X))
        return np.asarray(self.output_sizes[output] * self.link.slope(Y[:, output]))

    def params(self, theta: Any) -> Params:
        """One vector, which may be traced, as parameters of the network."""
        found, start = [], 0
        for layer in self.network.layers:
            own = {}
            for name, shape in layer.shapes.items():
                size = math.prod(shape)
                own[name] = theta[start : start + size].reshape(shape)
                start += size
            found.append(own)
        return found

    def entry(self, position: int) -> str:
        """What people call an entry of the vector of parameters: ``W[1] 2 3``."""
        for number, layer in enumerate(self.network.layers, start=1):
            for name, shape in layer.shapes.items():
                size = math.prod(shape)
                if position < size:
                    place = np.unravel_index(position, shape)
                    return " ".join([f"{name}[{number}]", *(str(int(i) + 1) for i in place)])
                position -= size
        raise IndexError(position)

    # -- columns ------------------------------------------------------------------------------
    def input(self, name: str | int) -> int:
        """The place of a numeric input, given by its name or place.

        Raises
        ------
        OptionError
            If there is none, or it is a category.
        """
        features = self.encoding.features
        if isinstance(name, int | np.integer) and not isinstance(name, bool):
            if not 0 <= name < len(features):
                raise OptionError(
                    "constraint: there is no input {name}; inputs are counted from 0 to {last}.",
                    name=int(name),
                    last=len(features) - 1,
                )
            name = features[int(name)]
        for column in self.encoding.columns:
            if column.name == name or name in column.features:
                if isinstance(column, CategoryColumn):
                    raise OptionError(
                        "constraint: input {name!r} is a category, which has no slope: name a "
                        "numeric input.",
                        name=str(name),
                    )
                return features.index(column.name)
        raise OptionError(
            "constraint: there is no input {name!r}.{hint}",
            name=str(name),
            hint=suggest(str(name), features),
        )

    def outputs(self, name: str | int | None) -> tuple[int, ...]:
        """The places of the outputs that are meant: one by name or place, or all.

        Raises
        ------
        OptionError
            If there is none.
        """
        names = self.encoding.outputs[-self.network.outputs :]
        if name is None:
            return tuple(range(self.network.outputs))
        if isinstance(name, int | np.integer) and 0 <= name < self.network.outputs:
            return (int(name),)
        if name in names:
            return (names.index(str(name)),)
        raise OptionError(
            "constraint: there is no output {name!r}.{hint}",
            name=str(name),
            hint=suggest(str(name), names),
        )

    def rows(self, points: Any) -> Vector:
        """Points as the network's inputs before scaling, shape (m, n[0]).

        Parameters
        ----------
        points : array-like, table, or mapping of column names to values
        """
        if isinstance(points, Mapping):
            points = {name: np.atleast_1d(np.asarray(v)) for name, v in points.items()}
        elif isinstance(points, int | float):
            points = [[float(points)]]
        return self.encoding.inputs(table_of_rows(points, self.encoding), scaled=False)

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """The places of the indicators of every category column."""
        found, start = [], 0
        for column in self.encoding.columns:
            width = len(column.features)
            if isinstance(column, CategoryColumn):
                found.append(tuple(range(start, start + width)))
            start += width
        return tuple(found)


def _jumps(g: Activation) -> Vector:
    """By how much the slope jumps at each kink; 0 where only the second derivative does."""
    slope = grad(g)
    found = np.array([slope(k + BESIDE) - slope(k - BESIDE) for k in g.kinks])
    return np.where(np.abs(found) > 10.0 * BESIDE, found, 0.0)
