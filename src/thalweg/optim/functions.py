"""Smooth functions from vectors to vectors, with whatever is known of their derivatives.

Everything a solver asks for is one of these: an objective (one output), residuals,
constraints. A `Traced` function derives all it is asked for by the chain rule, each once, when
it is first asked; a `Given` function has the derivatives its author supplies.

==========================  ============================================
``value(x)``                F(x), shape (m,)
``derivative(x)``           F(x) and the Jacobian J, shape (m, n)
``push(x, v)``              J·v
``pull(x, u)``              F(x) and Jᵀu
``curvature(x, u)``         Σₖ uₖ∇²Fₖ(x), shape (n, n)
``curvature_product``       the same times a direction v, shape (n,)
==========================  ============================================

Examples
--------
>>> import numpy as np
>>> square = Traced(lambda x: x ** 2, 2)
>>> square.derivative(np.array([1.0, 3.0]))[1]
array([[2., 0.],
       [0., 6.]])
>>> square.curvature(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
array([[2., 0.],
       [0., 2.]])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

import thalweg.numpy as tnp
from thalweg.errors import DifferentiationError, OptionError, ShapeError, TracingError
from thalweg.graph import Node
from thalweg.optim.derived import Evaluator, derived, evaluator
from thalweg.optim.layout import Matrix, Vector
from thalweg.tracing import trace_tree
from thalweg.trees import flatten

__all__ = [
    "Evaluator",
    "Given",
    "Smooth",
    "Traced",
    "evaluator",
    "laid_out",
    "numerical_jacobian",
    "smooth",
]


class Smooth(ABC):
    """A function from n numbers to m numbers; see the module for what it answers."""

    n: int
    m: int
    has_curvature: bool

    @abstractmethod
    def value(self, x: Vector) -> Vector:
        """F(x)."""

    @abstractmethod
    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """F(x) and the Jacobian."""

    @abstractmethod
    def curvature(self, x: Vector, u: Vector) -> Matrix:
        """Σₖ uₖ∇²Fₖ(x)."""

    def push(self, x: Vector, v: Vector) -> Vector:
        """J·v."""
        return self.derivative(x)[1] @ v

    def push_twice(self, x: Vector, v: Vector) -> Vector | None:
        """The second derivative along v, d²F(x + t·v)/dt²; None where it is not known."""
        return None

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        """F(x) and Jᵀu."""
        value, jacobian = self.derivative(x)
        return value, jacobian.T @ u

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """Σₖ uₖ∇²Fₖ(x)·v."""
        return self.curvature(x, u) @ v


class Traced(Smooth):
    """A function traced once; its derivatives follow from that trace (`thalweg.optim.derived`).

    Parameters
    ----------
    function : callable
        Of one vector; returns numbers, arrays or trees of them, which are laid end to end.
    n : int
        The length of the vector.
    """

    has_curvature = True

    def __init__(self, function: Callable[[Any], Any], n: int) -> None:
        self.n = n
        graph = trace_tree(lambda x: laid_out(function(x)), (np.zeros(n),), ["x"]).graph
        self._derived, self._arrays = derived(graph)
        self.m = self._derived.m

    @cached_property
    def _value(self) -> Evaluator:
        return self._derived.value.evaluator(self._arrays)

    @cached_property
    def _derivative(self) -> Evaluator:
        return self._derived.derivative.evaluator(self._arrays)

    @cached_property
    def _push(self) -> Evaluator:
        return self._derived.push.evaluator(self._arrays)

    @cached_property
    def _push_twice(self) -> Evaluator:
        return self._derived.push_twice.evaluator(self._arrays)

    @cached_property
    def _pull(self) -> Evaluator:
        return self._derived.pull.evaluator(self._arrays)

    @cached_property
    def _curvature(self) -> Evaluator:
        return self._derived.curvature.evaluator(self._arrays)

    @cached_property
    def _curvature_product(self) -> Evaluator:
        return self._derived.curvature_product.evaluator(self._arrays)

    def value(self, x: Vector) -> Vector:
        return self._value([x])[0]  # type: ignore[no-any-return]

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        value, slopes = self._derivative([x])
        return value.reshape(self.m), slopes.reshape(self.m, self.n)

    def push(self, x: Vector, v: Vector) -> Vector:
        return self._push([x, v])[0]  # type: ignore[no-any-return]

    def push_twice(self, x: Vector, v: Vector) -> Vector | None:
        return self._push_twice([x, v])[0]  # type: ignore[no-any-return]

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        value, slopes = self._pull([x, u])
        return value, slopes

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        matrix = self._curvature([x, u])[0]
        return 0.5 * (matrix + matrix.T)  # type: ignore[no-any-return]

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        return self._curvature_product([x, u, v])[0]  # type: ignore[no-any-return]


class Given(Smooth):
    """A plain function with the derivatives its author gives.

    It is handed copies of x, so that nothing happens to the solver's point if it changes them.

    Parameters
    ----------
    function : callable
        Of one vector; returns numbers laid out as a vector of length m.
    derivative : callable
        The Jacobian, shape (m, n) (or (n,) for one output).
    second : callable, optional
        ``second(x, u)``, the matrix Σₖ uₖ∇²Fₖ(x).
    x0 : vector
        Where the function is called once, for the number of its outputs.
    """

    def __init__(
        self,
        function: Callable[[Vector], Any],
        derivative: Callable[[Vector], Any],
        second: Callable[[Vector, Vector], Any] | None,
        x0: Vector,
    ) -> None:
        self._function, self._jacobian, self._second = function, derivative, second
        self.n = x0.size
        first = function(x0.copy())
        _refuse_truth(flatten(first)[0])
        self.m = _numbers(first).size
        self.has_curvature = second is not None

    def value(self, x: Vector) -> Vector:
        with np.errstate(all="ignore"):
            return _numbers(self._function(x.copy()))

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        with np.errstate(all="ignore"):
            slopes = _numbers(self._jacobian(x.copy()))
        if slopes.size != self.m * self.n:
            raise ShapeError(
                "the given derivative has {size} entries, not {m} x {n}",
                size=slopes.size,
                m=self.m,
                n=self.n,
            )
        return self.value(x), slopes.reshape(self.m, self.n)

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        if self._second is None:
            raise DifferentiationError(
                "this method needs second derivatives, and the function is given with first "
                "ones only. Pass hess=..., hess='numerical', or choose a method such as 'bfgs'."
            )
        found = np.asarray(self._second(x.copy(), u.copy()), dtype=np.float64)
        matrix = found.reshape(self.n, self.n)
        return 0.5 * (matrix + matrix.T)

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        if self._second is not None:
            return super().curvature_product(x, u, v)
        length = float(np.linalg.norm(v))
        if length == 0.0:
            return np.zeros(self.n)
        step = 2e-6 * (1.0 + float(np.linalg.norm(x))) / length
        ahead, behind = (self._jacobian_of(x + h * v) for h in (step, -step))
        return np.asarray(u @ (ahead - behind) / (2.0 * step), dtype=np.float64)

    def _jacobian_of(self, x: Vector) -> Matrix:
        return self.derivative(x)[1]


def numerical_jacobian(function: Callable[[Vector], Any]) -> Callable[[Vector], Matrix]:
    """Central differences, column by column: a Jacobian good to about ten digits.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
        Costs two evaluations of the function for every parameter.
    """

    def derivative(x: Vector) -> Matrix:
        columns = []
        for i in range(x.size):
            step = float(np.finfo(np.float64).eps ** (1 / 3) * max(1.0, abs(x[i])))
            ahead, behind = x.copy(), x.copy()
            ahead[i] += step
            behind[i] -= step
            rise = _numbers(function(ahead)) - _numbers(function(behind))
            columns.append(rise / (ahead[i] - behind[i]))
        return np.stack(columns, axis=1)

    return derivative


def smooth(
    function: Callable[[Vector], Any],
    x0: Vector,
    jac: Any = None,
    hess: Any = None,
    name: str = "the function",
) -> Smooth:
    """Make a `Smooth` function: traced, or plain with given or numerical derivatives.

    Parameters
    ----------
    function : callable
        Of one vector.
    x0 : vector
    jac : callable or "numerical", optional
        With none the function is traced.
    hess : callable ``hess(x, u)`` or "numerical", optional
    name : str
        For messages.

    Raises
    ------
    TracingError
        If the function cannot be traced and no derivative is given.
    """
    if jac is None:
        try:
            return Traced(function, x0.size)
        except OptionError:
            raise
        except Exception as error:
            function(x0.copy())  # the user's own mistakes surface as they are
            raise TracingError(
                "{name} cannot be traced, so its derivatives are not known ({error}) "
                "Write it with thalweg.numpy, or give jac=..., or choose differences: "
                "jac='numerical'.",
                name=name,
                error=error,
            ) from error
    derivative = numerical_jacobian(function) if jac == "numerical" else jac
    second = hess
    if hess == "numerical":
        second = _numerical_curvature(derivative, x0.size)
    return Given(function, derivative, second, x0)


def _numerical_curvature(
    derivative: Callable[[Vector], Any], n: int
) -> Callable[[Vector, Vector], Matrix]:
    def second(x: Vector, u: Vector) -> Matrix:
        weighted = numerical_jacobian(lambda y: u @ _numbers(derivative(y)).reshape(u.size, n))
        return weighted(x)

    return second


def _refuse_truth(leaves: Sequence[Any]) -> None:
    """A constraint written as a comparison is true or false everywhere: it has no slope."""
    for leaf in leaves:
        if isinstance(leaf, bool) or getattr(leaf, "dtype", None) == np.bool_:
            raise OptionError(
                "a function returned true or false, and numbers are needed: write x[0] <= 1 as "
                "x[0] - 1, which must be <= 0."
            )


def _numbers(result: Any) -> Vector:
    """All numbers of a result as a vector."""
    if result is None:
        return np.zeros(0)
    leaves = flatten(result)[0] if isinstance(result, dict | list | tuple) else [result]
    return np.concatenate(
        [np.asarray(leaf, dtype=np.float64).ravel() for leaf in leaves] or [np.zeros(0)]
    )


def laid_out(result: Any) -> Any:
    """The same for traced results, which may be ordinary ones."""
    leaves = flatten(result)[0]
    _refuse_truth(leaves)
    if not leaves:
        return np.zeros(0)
    flat = [
        tnp.astype(tnp.reshape(leaf if isinstance(leaf, Node) else np.asarray(leaf), -1), "float64")
        for leaf in leaves
    ]
    return flat[0] if len(flat) == 1 else tnp.concatenate(flat)
