"""Loss and gradient over all samples of a table as a quick function of one vector.

A solver asks hundreds of times for the same sums at other parameters. What does not change, the
samples, the compiled program and the buffers it writes into, is laid out once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram, means
from thalweg.training.sensitivities import Places

__all__ = ["NativeLosses", "NativeProducts", "NativeSums"]

Array = NDArray[Any]


class _LaidOut(ABC):
    """A program on samples, with arrays of its own that are laid out once."""

    run: Callable[[], None]

    def __init__(self, program: NativeProgram, samples: Samples) -> None:
        self.program, self.samples = program, samples
        self.total = float(np.sum(samples.weights)) or 1.0
        self._lay_out()

    @abstractmethod
    def _lay_out(self) -> None:
        """Make the arrays, and `run`, which works on them."""

    def _run(self) -> None:
        try:
            self.run()
        except BaseException:
            self._lay_out()  # after an interrupt, native code may still write to the old arrays
            raise


class NativeSums(_LaidOut):
    """The mean loss of a native program, without the penalty, and its gradient.

    Parameters
    ----------
    program : NativeProgram
        In float64.
    samples : Samples
        At least one.

    Examples
    --------
    >>> from thalweg.nn.losses import loss
    >>> from thalweg.nn.network import Dense, Network
    >>> from thalweg.nn.objective import NetworkObjective
    >>> from thalweg.optim.rules import GD
    >>> objective = NetworkObjective(Network([Dense(1, 1, bias=False)]), loss("mse"))
    >>> X = np.array([[1.0], [2.0]])
    >>> sums = NativeSums(NativeProgram(objective, GD()), Samples(X, 3.0 * X, np.ones(2)))
    >>> sums(np.zeros(1))
    (22.5, array([-15.]))
    """

    def _lay_out(self) -> None:
        places = Places(self.program.objective.network)
        self.theta, self.slopes = np.zeros(places.count), np.zeros(places.count)
        state = [*places.leaves(self.theta), *places.leaves(self.slopes)]
        self.run, self.losses = self.program.gradients(state, self.samples)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """At parameters as one vector, shape (P,)."""
        self.theta[:] = theta
        self.slopes.fill(0.0)
        self._run()
        return means(self.losses)[0], self.slopes / self.total


class NativeProducts(_LaidOut):
    """The Hessian of the mean loss of a native program, without the penalty, times a vector.

    Parameters
    ----------
    program : NativeProgram
        In float64.
    samples : Samples
        At least one.
    """

    def _lay_out(self) -> None:
        places = Places(self.program.objective.network)
        self.given, self.sums = np.zeros((2, places.count)), np.zeros((2, places.count))
        state = [leaf for row in (*self.given, *self.sums) for leaf in places.leaves(row)]
        self.run, _ = self.program.products(state, self.samples)

    def __call__(self, theta: Array, v: Array) -> Array:
        """At parameters, with a direction, both as one vector of shape (P,)."""
        self.given[0], self.given[1] = theta, v
        self.sums.fill(0.0)
        self._run()
        return np.asarray(self.sums[0] / self.total)


class NativeLosses(_LaidOut):
    """The mean loss of a native program, without the penalty: its `loss`, bit for bit.

    Parameters
    ----------
    program : NativeProgram
    samples : Samples
        At least one.
    """

    def _lay_out(self) -> None:
        places = Places(self.program.objective.network)
        self.theta = np.zeros(places.count, self.program.dtype)
        self.run, self.losses = self.program.losses(places.leaves(self.theta), self.samples)

    def __call__(self, theta: Array) -> float:
        """At parameters as one vector, shape (P,)."""
        self.theta[:] = theta
        self._run()
        return means(self.losses)[0]
