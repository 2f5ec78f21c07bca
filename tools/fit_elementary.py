"""Fit the polynomials and rational functions of `thalweg.compiler.coefficients`.

Run ``python tools/fit_elementary.py [NAME ...]``: for every fit of the table `FITS` it prints a
row for `thalweg.compiler.coefficients.COEFFICIENTS` and the largest error of the fit (that of
the approximation itself, in exact arithmetic, with the coefficients as rounded to the dtype).

The method is Remez' exchange in multiple precision. A linearised rational minimax problem

    P(u) − f(u) Q(u) = ± E w(u) Q(u),   Q(0) given

is solved at N = deg P + deg Q + 2 alternating nodes (E multiplies an unknown Q, so the linear
system is solved a few times with the last Q), then the nodes move to the extrema of the error.
Coefficients are rounded one after the other, lowest order first, and the remaining ones are
fitted again: so the later ones make up for the rounding of the earlier ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import mpmath as mp
import numpy as np

mp.mp.dps = 50
Function = Callable[[mp.mpf], mp.mpf]
GRID = 1200


@dataclass(frozen=True)
class Fit:
    """A function of u on an interval, the degrees of P and Q, and the weight of the error."""

    f: Function
    interval: tuple[float, float | dict[str, float]]
    degrees: dict[str, tuple[int, int]]
    weight: Function = field(default=lambda u: mp.mpf(1))
    scale: dict[str, float] = field(default_factory=dict)  # Q(0), where it is not 1


def rounded(value: mp.mpf, dtype: str) -> mp.mpf:
    """The nearest number of the dtype."""
    if dtype == "float64":
        return mp.mpf(float(value))
    return mp.mpf(float(np.float32(float(value))))


class Remez:
    """The exchange for one fit, some of whose coefficients may be held."""

    def __init__(self, fit: Fit, dtype: str) -> None:
        self.p, self.q = fit.degrees[dtype]
        low, high = (mp.mpf(end[dtype] if isinstance(end, dict) else end) for end in fit.interval)
        middle, half = (low + high) / 2, (high - low) / 2
        self.grid = [middle - half * mp.cos(mp.pi * i / GRID) for i in range(GRID + 1)]
        self.f = [fit.f(u) for u in self.grid]
        self.w = [fit.weight(u) for u in self.grid]
        self.nodes: list[int] = []
        self.held: dict[int, mp.mpf] = {}
        self.scale = mp.mpf(fit.scale.get(dtype, 1))
        self.values: list[mp.mpf] = [mp.mpf(0)] * (self.p + 1 + self.q)

    def parts(self, values: list[mp.mpf]) -> tuple[list[mp.mpf], list[mp.mpf]]:
        """The coefficients of P and Q, lowest order first."""
        return values[: self.p + 1], [self.scale, *values[self.p + 1 :]]

    def error(self) -> list[mp.mpf]:
        """(P/Q − f) / w on the grid."""
        P, Q = self.parts(self.values)
        return [
            (mp.polyval(P[::-1], u) / mp.polyval(Q[::-1], u) - f) / w
            for u, f, w in zip(self.grid, self.f, self.w, strict=True)
        ]

    def solve(self, nodes: list[int]) -> None:
        """Level the error at the nodes."""
        free = [k for k in range(len(self.values)) if k not in self.held]
        for _ in range(6 if self.q else 1):
            _, Q = self.parts(self.values)
            A = mp.matrix(len(nodes), len(free) + 1)
            right = mp.matrix(len(nodes), 1)
            for row, node in enumerate(nodes):
                u, f = self.grid[node], self.f[node]
                columns = [u**k for k in range(self.p + 1)]
                columns += [-f * u ** (k + 1) for k in range(self.q)]
                right[row] = f * self.scale - sum(self.held[k] * columns[k] for k in self.held)
                for column, k in enumerate(free):
                    A[row, column] = columns[k]
                A[row, len(free)] = (-1) ** row * self.w[node] * mp.polyval(Q[::-1], u)
            solution = mp.lu_solve(A, right)
            self.values = [self.held.get(k, mp.mpf(0)) for k in range(len(self.values))]
            for column, k in enumerate(free):
                self.values[k] = solution[column]

    def run(self, rounds: int = 12) -> mp.mpf:
        """Exchange nodes until the error is level; its size."""
        free = len(self.values) - len(self.held)
        if not free:
            return max(map(abs, self.error()))
        count = free + 1
        nodes = self.nodes
        if len(nodes) != count:  # Chebyshev's nodes: the grid is spaced so
            nodes = [round(GRID * (i + 0.5) / count) for i in range(count)]
        best: tuple[mp.mpf, list[mp.mpf]] | None = None
        for _ in range(rounds):
            self.solve(nodes)
            errors = self.error()
            size = max(map(abs, errors))
            if best is None or size < best[0]:
                best = (size, list(self.values))
                self.nodes = nodes
            moved = self.extrema(errors, count)
            if moved is None or moved == nodes:
                break
            nodes = moved
        self.nodes = self.extrema(errors, count - 1) or []  # to start with if one more is held
        assert best is not None
        self.values = best[1]
        return best[0]

    @staticmethod
    def extrema(errors: list[mp.mpf], count: int) -> list[int] | None:
        """The grid points of the largest errors of alternating sign."""
        peaks: list[int] = []
        for i, e in enumerate(errors):
            if peaks and (errors[peaks[-1]] > 0) == (e > 0):
                if abs(e) > abs(errors[peaks[-1]]):
                    peaks[-1] = i
            else:
                peaks.append(i)
        while len(peaks) > count:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        return peaks if len(peaks) == count else None


def fitted(fit: Fit, dtype: str) -> tuple[list[float], list[float], float]:
    """The rounded coefficients of P and Q, lowest order first, and the largest error."""
    remez = Remez(fit, dtype)
    error = remez.run()
    at_once = Remez.__new__(Remez)
    at_once.__dict__ |= remez.__dict__
    at_once.values = [rounded(value, dtype) for value in remez.values]
    plain = max(map(abs, at_once.error()))
    order = [k for i in range(max(remez.p + 1, remez.q + 1)) for k in (i, remez.p + i)
             if (k == i and k <= remez.p) or (k == remez.p + i and 1 <= i <= remez.q)]  # fmt: skip
    for k in dict.fromkeys(order):
        if k not in remez.held:
            remez.held[k] = rounded(remez.values[k], dtype)
            error = remez.run(8)
    if plain < error:
        remez, error = at_once, plain
    P, Q = remez.parts(remez.values)
    return [float(c) for c in P], [float(c) for c in Q], float(error)


LN2 = mp.log(2)
REDUCED = (-0.34692, 0.34692)  # a little more than log(2) / 2
ROOTS = (float(mp.sqrt(0.5) - 1) * 1.0001, float(mp.sqrt(2) - 1) * 1.0001)
QUARTER = 0.6170  # a little more than (π/4)²


def _away(x: mp.mpf, least: float = 1e-3) -> mp.mpf:
    """|x|, kept from zero where it is a divisor of a weight."""
    return max(abs(x), mp.mpf(least))


def _exp_rest(x: mp.mpf) -> mp.mpf:
    """(eˣ − 1 − x) / x²"""
    return (
        mp.nsum(lambda k: x**k / mp.factorial(k + 2), [0, 40])
        if abs(x) < 0.01
        else (mp.exp(x) - 1 - x) / x**2
    )


def _half_tanh(y: mp.mpf, s: mp.mpf) -> mp.mpf:
    """The t of y = 2t / (1 + t²), given s = √(1 − y²)"""
    return y / (1 + s)


def _half_weight(y: mp.mpf, s: mp.mpf) -> mp.mpf:
    """The error of t that makes a relative error of one in y: t (1 + t²) / (1 − t²)"""
    return _half_tanh(y, s) / s


def _erf_cofactor(u: mp.mpf) -> mp.mpf:
    """√(1 − erf²), of u = x²"""
    rest = mp.erfc(mp.sqrt(u))
    return mp.sqrt(rest * (2 - rest))


FITS: dict[str, Fit] = {
    # (eˣ − 1 − x) / x², by the relative error of eˣ − 1
    "expm1": Fit(
        _exp_rest,
        REDUCED,
        {"float32": (4, 0), "float64": (9, 0)},
        weight=lambda x: 1 / _away(x, 0.02),
    ),
    # (tanh(r) − r) / r³ of u = r², |r| ≤ log(2) / 4
    "tanh": Fit(
        lambda u: (
            (mp.tanh(mp.sqrt(u)) - mp.sqrt(u)) / mp.sqrt(u) ** 3
            if u > 1e-6
            else mp.mpf(-1) / 3 + 2 * u / 15 - 17 * u**2 / 315
        ),
        (0.0, 0.0301),
        {"float32": (1, 0), "float64": (5, 0)},
        weight=lambda u: 1 / _away(u, 1e-4),
    ),
    # t(x) / x of u = x², where erf(x) = 2t / (1 + t²)
    "erf": Fit(
        lambda u: _half_tanh(mp.erf(mp.sqrt(u)), _erf_cofactor(u)) / mp.sqrt(u),
        (1e-30, {"float32": 15.6, "float64": 35.0}),
        {"float32": (4, 4), "float64": (12, 12)},
        weight=lambda u: _half_weight(mp.erf(mp.sqrt(u)), _erf_cofactor(u)) / mp.sqrt(u),
        scale={"float32": 3.28125, "float64": 2.0},  # 3.28125 / √π is nearly a float32
    ),
    # (log(1+f) − f) / f²
    "log": Fit(
        lambda f: (
            mp.nsum(lambda k: -((-f) ** k) / (k + 2), [0, 40])
            if abs(f) < 0.01
            else (mp.log1p(f) - f) / f**2
        ),
        ROOTS,
        {"float32": (8, 0)},
        weight=lambda f: 1 / _away(f),
    ),
    # (2 artanh(s) − 2s) / s³ of u = s², s = f / (2 + f)
    "artanh": Fit(
        lambda u: sum(2 * u**k / (2 * k + 3) for k in range(60)),
        (0.0, 0.02946),
        {"float32": (3, 0), "float64": (6, 0)},
        weight=lambda u: 1 / _away(u, 1e-4),
    ),
    # (2 artanh(s) − 2s − 2s³/3) / s⁵ of u = s²
    "artanh_rest": Fit(
        lambda u: sum(2 * u**k / (2 * k + 5) for k in range(60)),
        (0.0, 0.02946),
        {"float64": (6, 0)},
    ),
    # (sin(r) − r) / r³ of u = r²
    "sin": Fit(
        lambda u: sum((-1) ** (k + 1) * u**k / mp.factorial(2 * k + 3) for k in range(30)),
        (0.0, QUARTER),
        {"float32": (2, 0), "float64": (5, 0)},
        weight=lambda u: 1 / _away(u),
    ),
    # (cos(r) − 1 + r²/2) / r⁴ of u = r²
    "cos": Fit(
        lambda u: sum((-1) ** k * u**k / mp.factorial(2 * k + 4) for k in range(30)),
        (0.0, QUARTER),
        {"float32": (2, 0), "float64": (5, 0)},
        weight=lambda u: mp.cos(mp.sqrt(u)) / _away(u) ** 2,
    ),
    # (arctan(t) − t) / t³ of u = t², 0 ≤ t ≤ 1
    "arctan": Fit(
        lambda u: (
            sum((-1) ** (k + 1) * u**k / (2 * k + 3) for k in range(40))
            if u < 0.05
            else (mp.atan(mp.sqrt(u)) - mp.sqrt(u)) / mp.sqrt(u) ** 3
        ),
        (0.0, 1.0),
        {"float32": (7, 0), "float64": (18, 0)},
        weight=lambda u: mp.atan(mp.sqrt(_away(u))) / mp.sqrt(_away(u)) ** 3,
    ),
    # (arcsin(s) − s) / s³ of u = s², 0 ≤ s ≤ 1/2
    "arcsin": Fit(
        lambda u: sum(
            mp.binomial(2 * k + 2, k + 1) / 4 ** (k + 1) / (2 * k + 3) * u**k for k in range(90)
        ),
        (0.0, 0.25),
        {"float32": (4, 0), "float64": (11, 0)},
        weight=lambda u: 1 / _away(u),
    ),
}


def main(names: list[str]) -> None:
    """Print the rows of the table."""
    for name in names or FITS:
        for dtype in FITS[name].degrees:
            P, Q, error = fitted(FITS[name], dtype)
            print(f"    ({name!r}, {dtype!r}): (  # error {error:.2g} = 2^{np.log2(error):.1f}")
            for part in (P, Q)[: 1 + (len(Q) > 1)]:
                print("        (" + ", ".join(map(repr, part)) + ",),")
            print("    ),")


if __name__ == "__main__":
    main(sys.argv[1:])
