"""A second look where a method has ended: a minimum, or a saddle point that slopes do not show?

Methods of first derivatives end where the (projected) gradient vanishes. From a start with a
symmetry, or where an entry rests at a bound that nothing presses it to, that can be a saddle
point: to some feasible side f falls, though its slope there is zero. What tells is the curvature
on the entries that no bound holds. Its least eigenvalues are those of a small tridiagonal matrix
(C. Lanczos, 1950), made of a few products with the Hessian, and each of these is a difference of
two gradients. Where one is negative, the method goes on from the lowest point along its vector.

Examples
--------
>>> import thalweg as tw
>>> hollow = lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4
>>> tw.minimize(hollow, [1.0, 0.0], "bfgs", bounds=[(-2, 2), (0, 2)]).x.round(6)
array([0.      , 0.707107])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from thalweg.optim.descent import largest
from thalweg.optim.direction.saddle import lowest_of
from thalweg.optim.layout import Vector, norm
from thalweg.optim.problem import Bounds, Mask, Problem
from thalweg.optim.result import Status
from thalweg.optim.run import Halt

__all__ = ["lower_beside", "with_second_look"]

LOOSE = 1e-6
MANY = 10_000  # parameters, for which the vectors of products fill the memory
PRODUCTS, SIDES, ESCAPES = 20, 3, 10
ZERO, UNKNOWN = 1e-4, 0.1  # relative to the largest: what counts as zero, and for what it is taken
HALVINGS = 20
STEP = 1e-7  # of the differences, relative to x
NEGATIVE = 1e-6  # curvature below minus this, relative to the largest, is no rounding
PRESSED = 1e-6  # relative to the objective, or one: slopes that hold an entry at its bound
ENDS = (Status.CONVERGED, Status.STEP_TOO_SMALL)

Product = Callable[[Vector], Vector]
Method = Callable[[Problem, Vector], Status]


def with_second_look(method: Method, problem: Problem, x: Vector, tol: float) -> Status:
    """Run a method to an end beside which nothing is seen to be lower.

    Parameters
    ----------
    method : callable
        ``method(problem, x)``.
    problem : Problem
    x : vector
        The start.
    tol : float
        The method's. What is loose (a step of some other method, most often) is not looked at.
    """
    status = method(problem, x)
    if tol > LOOSE or x.size > MANY:
        return status
    for _ in range(ESCAPES):
        best = problem.run.best
        if status not in ENDS or best is None:
            break
        try:
            beside = lower_beside(problem, best.x, _units(best.x, x))
        except Halt:  # a limit: what was reached before it stands
            break
        if beside is None:
            break
        status = method(problem, beside)
    return status


def lower_beside(problem: Problem, x: Vector, units: Vector) -> Vector | None:
    """A lower point along negative curvature; None if x is a minimum as far as can be seen.

    Parameters
    ----------
    problem : Problem
    x : vector
        Where the first-order conditions hold.
    units : vector
        By how much to change each entry.
    """
    problem.run.evaluated(slopes=1)
    gradient = problem.objective.gradient(x)
    inward, held = _at_bounds(problem, x, gradient)
    free = ~held
    if not free.any() or not np.isfinite(gradient).all():
        return None
    product = _differences(problem, x, np.where(free, units, 0.0), inward)
    for along in islice(_negative(product, free), SIDES):
        found = _lowest(problem, x, units * along / largest(along), inward)
        if found is not None:
            return found
    return None


def _units(x: Vector, start: Vector) -> Vector:
    """The sizes of the entries; of zeros, which tell none, a share of the largest."""
    reach = largest(x) if largest(x) > ZERO * largest(start) else largest(start) or 1.0
    return np.where(np.abs(x) > ZERO * reach, np.abs(x), UNKNOWN * reach)


def _at_bounds(problem: Problem, x: Vector, gradient: Vector) -> tuple[Vector, Mask]:
    """Which way is inwards for entries that rest at bounds (else 0), and which are held there."""
    bounds: Bounds = problem.bounds
    if not bounds.any:
        return np.zeros_like(x), np.zeros(x.shape, np.bool_)
    low, high = x <= bounds.lower, x >= bounds.upper
    size = PRESSED * max(1.0, abs(problem.value(x)))
    held = (low & (gradient > size)) | (high & (gradient < -size)) | (low & high)
    return np.where(held, 0.0, low * 1.0 - high * 1.0), held


def _differences(problem: Problem, x: Vector, scale: Vector, inward: Vector) -> Product:
    """Products with the Hessian of the scaled entries, from gradients within the bounds."""
    base = x + STEP * scale * inward

    def gradient(at: Vector) -> Vector:
        problem.run.evaluated(slopes=1)
        return problem.objective.gradient(problem.bounds.project(at))

    first = gradient(base)

    def product(v: Vector) -> Vector:
        """For v no longer than one."""
        return scale * (gradient(base + STEP * scale * v) - first) / STEP

    return product


def _negative(product: Product, free: Mask) -> Iterator[Vector]:
    """Unit vectors of clearly negative curvature, the most negative first."""
    size = int(np.count_nonzero(free))
    v = np.where(free, np.random.default_rng(0).standard_normal(free.size), 0.0)
    basis, images = [v / norm(v)], []
    for _ in range(min(size, PRODUCTS)):
        image = product(basis[-1])
        if not np.isfinite(image).all():
            return
        images.append(image)
        rest, known = image.copy(), np.array(basis)
        for _ in range(2):  # once more against rounding
            rest -= (known @ rest) @ known
        length = norm(rest)
        if length <= NEGATIVE * norm(image) or len(images) == size:
            break
        basis.append(rest / length)
    known = np.array(basis[: len(images)])
    small = known @ np.array(images).T
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    for value, vector in zip(values, vectors.T, strict=True):
        if value < -NEGATIVE * float(np.max(np.abs(values))):
            yield vector @ known


def _lowest(problem: Problem, x: Vector, step: Vector, inward: Vector) -> Vector | None:
    """The lowest point along a step, or along it with all entries at bounds turned inwards."""
    found = lowest_of(problem, x, step, HALVINGS)
    turned = np.where(inward != 0, inward * np.abs(step), step)
    if found is None and (turned != step).any() and (turned != -step).any():
        found = lowest_of(problem, x, turned, HALVINGS)
    return found
