"""Elementary functions against mpmath, and their special values, on the host and on AVX2."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache

import llvmlite.binding as llvm
import mpmath as mp
import numpy as np
import pytest

from thalweg.compiler.assembly import Assembly, Builder, Value
from thalweg.compiler.binary import BOUNDS_2, ELEMENTARY_2
from thalweg.compiler.elementary import BOUNDS, ELEMENTARY
from thalweg.compiler.native import module_text

DTYPES = ("float32", "float64")
WIDTHS = (1, 4, 8, 16)
INF, NAN = math.inf, math.nan


# -- running generated code ---------------------------------------------------------------------
def machines() -> list[str]:
    """The host, and processors with less, where the host can run their code."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    x86 = llvm.get_process_triple().startswith("x86_64")
    older = [f"x86-64-v{v}" for v, f in ((2, "sse4.2"), (3, "avx2")) if x86 and features.get(f)]
    return ["host", *older]


class Native:
    """One function of the tables, compiled to run over arrays."""

    def __init__(self, name: str, dtype: str, width: int, machine: str = "host") -> None:
        arguments = 1 if name in ELEMENTARY else 2
        self.dtype, self.width = np.dtype(dtype), width
        self.engine = self.compile(self.text(name, width, arguments), machine)
        pointers = [ctypes.c_void_p] * (arguments + 1)
        self.function = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(
            self.engine.get_function_address("run")
        )

    def text(self, name: str, width: int, arguments: int) -> str:
        code = Assembly()
        builder = Builder(code, width, str(self.dtype))

        def address(pointer: str, index: Value) -> str:
            step = f"getelementptr {builder.element}, ptr {pointer}, i64 {index.text}"
            return f"{code.emit('ptr', step)}, align {self.dtype.itemsize}"

        def body(index: Value, _: list[Value]) -> list[Value]:
            values = [
                code.emit(builder.type, f"load {builder.type}, {address(f'%x{k}', index)}")
                for k in range(arguments)
            ]
            table: dict[str, Callable[..., Value]] = {**ELEMENTARY, **ELEMENTARY_2}
            result = table[name](builder, *values)
            code.do(f"store {result}, {address('%y', index)}")
            return []

        code.loop(Value("0", "i64"), Value("%n", "i64"), width, body)
        parameters = "".join(f"ptr %x{k}, " for k in range(arguments)) + "ptr %y, i64 %n"
        return module_text(code, "run", parameters)

    @staticmethod
    def compile(text: str, machine: str) -> llvm.ExecutionEngine:
        module = llvm.parse_assembly(text)
        module.verify()
        host = machine == "host"
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name() if host else machine,
            features=llvm.get_host_cpu_features().flatten() if host else "",
        )
        engine = llvm.create_mcjit_compiler(module, target)
        engine.finalize_object()
        return engine

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        padding = -len(arrays[0]) % self.width
        padded = [
            np.concatenate([np.asarray(a, self.dtype), np.ones(padding, self.dtype)])
            for a in arrays
        ]
        result = np.empty_like(padded[0])
        self.function(*(a.ctypes.data for a in padded), result.ctypes.data, len(result))
        return result[: len(arrays[0])]


@cache
def native(name: str, dtype: str, width: int = 8, machine: str = "host") -> Native:
    return Native(name, dtype, width, machine)


# -- measuring errors ---------------------------------------------------------------------------
def ulps(result: np.ndarray, high: np.ndarray, low: np.ndarray | float = 0.0) -> np.ndarray:
    """|result − (high + low)| in units in the last place of `high`; ∞ counts as 2^(1 + emax)."""
    limits = np.finfo(result.dtype)
    _, exponent = np.frexp(np.clip(np.abs(high), 0, float(limits.max)))
    unit = np.maximum(exponent - 1, limits.minexp) - limits.nmant
    shift = np.where(exponent > limits.maxexp - 8, -8, 0)  # where 2^1024 would be met
    top = 2.0 ** (limits.maxexp - 8)
    low = np.where(np.abs(high) > float(limits.max), 0.0, low)
    y, h = np.ldexp(result.astype(float), shift), np.ldexp(high, shift)
    y, h = (np.where(np.isinf(v), np.copysign(top, v), np.clip(v, -top, top)) for v in (y, h))
    with np.errstate(under="ignore"):
        # a unit of double precision may be a denormal number: divide in two steps
        halves = (unit + shift) // 2
        error = np.ldexp((y - h) - np.ldexp(low, shift), -halves)
        return np.abs(np.ldexp(error, halves - (unit + shift)))


REFERENCE: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: x + mp.log1p(mp.exp(-x)) if x > 0 else mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
}
DOMAIN = {
    "log": (0.0, INF), "log1p": (-1.0, INF), "arcsin": (-1.0, 1.0), "arccos": (-1.0, 1.0),
    "arccosh": (1.0, INF), "arctanh": (-1.0, 1.0),
}  # fmt: skip
OPEN = ("log", "log1p", "arctanh")  # −∞ or ∞ at the ends of the domain
# beyond, the result is a limit, and multiple precision would take long to say so
FLAT = {"exp": 1100.0, "expm1": 1100.0, "sigmoid": 1100.0, "softplus": 1100.0, "tanh": 60.0,
        "erf": 30.0, "sinh": 1100.0, "cosh": 1100.0}  # fmt: skip


def points(name: str, dtype: str, count: int) -> np.ndarray:
    """Numbers of every exponent, near zeros, edges and thresholds, in the function's domain."""
    rng = np.random.default_rng(count)
    few = count // 8
    word = {"float32": np.uint32, "float64": np.uint64}[dtype]
    spread = rng.integers(0, np.iinfo(word).max, few, dtype=word).view(dtype)
    signs = rng.choice([-1.0, 1.0], few)
    corners = [
        1e-30, 0.5, 1.0, 2.0, math.sqrt(0.5), math.sqrt(2.0), math.sqrt(2.0) - 1,
        1 - math.sqrt(0.5), math.log(2) / 4, math.log(2) / 2, math.log(2), 3.94, 5.91, 9.0, 20.0,
        40.0, 87.3365, 88.7228, 89.4159, 103.97, 708.396, 709.7827, 710.4758, 745.133, 1e5, 1e9,
        1e18, 2.0**-126, 2.0**-1022, float(np.finfo(dtype).max),
    ]  # fmt: skip
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        near = np.concatenate([np.asarray(corners, dtype)] * 2) * np.repeat(
            np.asarray([1, -1], dtype), len(corners)
        )
        steps = np.asarray([-3, -2, -1, 0, 1, 2, 3])[:, None]
        neighbours = (near.view(word).astype(np.int64) + steps).astype(word).view(dtype).ravel()
        x = np.concatenate([
            spread,
            neighbours,
            rng.integers(-63661, 63661, few) * (math.pi / 2),
            rng.integers(-30, 30, few) * (math.pi / 2),
            rng.normal(size=few),
            rng.uniform(-100, 100, few),
            rng.uniform(-760, 760, few),
            signs * 10.0 ** rng.uniform(-12, 5, few),
            signs + rng.choice([-1, 1], few) * 10.0 ** rng.uniform(-16, 0, few),
        ]).astype(dtype)  # fmt: skip
    low, high = DOMAIN.get(name, (-INF, INF))
    inside = (x > low) & (x < high) if name in OPEN else (x >= low) & (x <= high)
    return x[inside & np.isfinite(x) & (np.abs(x) <= FLAT.get(name, INF))]


def exactly(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The function in multiple precision, as sums of two doubles."""
    with mp.workprec(140):
        values = [REFERENCE[name](mp.mpf(float(v))) for v in x]
        high = np.asarray([float(v) for v in values])
        low = [float(v - h) if math.isfinite(h) else 0.0 for v, h in zip(values, high, strict=True)]
    return high, np.asarray(low)


def test_every_function_has_a_bound() -> None:
    assert set(BOUNDS) == set(ELEMENTARY) == set(REFERENCE)


@pytest.mark.parametrize("machine", machines())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_error_is_within_its_bound(name: str, dtype: str, machine: str) -> None:
    x = points(name, dtype, 4000)
    high, low = reference_of_points(name, dtype, 4000)
    errors = ulps(native(name, dtype, machine=machine)(x), high, low)
    worst = int(np.argmax(errors))  # argmax finds NaN first
    assert errors[worst] <= BOUNDS[name][dtype], f"{errors[worst]:.3f} ULP at {x[worst]!r}"


@cache
def reference_of_points(name: str, dtype: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    return exactly(name, points(name, dtype, count))


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTARY)
def test_error_of_double_precision_at_many_points(name: str) -> None:
    x = points(name, "float64", 150_000)
    errors = ulps(native(name, "float64")(x), *exactly(name, x))
    worst = int(np.argmax(errors))
    assert errors[worst] <= BOUNDS[name]["float64"], f"{errors[worst]:.3f} ULP at {x[worst]!r}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTARY)
def test_error_of_single_precision_at_millions_of_points(name: str) -> None:
    """One in 101 of all numbers, against double precision of the C library."""
    x = np.arange(0, 2**32, 101, dtype=np.uint64).astype(np.uint32).view(np.float32)
    low, high = DOMAIN.get(name, (-INF, INF))
    x = x[((x > low) & (x < high)) if name in OPEN else ((x >= low) & (x <= high))]
    with np.errstate(all="ignore"):
        errors = ulps(native(name, "float32")(x), double_precision(name, x.astype(float)))
    worst = int(np.argmax(errors))
    assert errors[worst] <= BOUNDS[name]["float32"] + 1e-6, f"{errors[worst]} at {x[worst]!r}"


def double_precision(name: str, x: np.ndarray) -> np.ndarray:
    """The function by NumPy and SciPy."""
    if name == "erf":
        return np.asarray(pytest.importorskip("scipy.special").erf(x))
    small = np.exp(-np.abs(x))
    if name == "sigmoid":
        return np.where(x >= 0, 1.0, small) / (1 + small)
    if name == "softplus":
        return np.maximum(x, 0) + np.log1p(small)
    return np.asarray(getattr(np, name)(x))


# -- widths, targets, special values ------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_bits_do_not_depend_on_the_width(name: str, dtype: str) -> None:
    x = points(name, dtype, 1000)
    first, *others = (native(name, dtype, width)(x) for width in WIDTHS)
    for other in others:
        np.testing.assert_array_equal(other.view(f"u{x.itemsize}"), first.view(f"u{x.itemsize}"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_assembly_for_aarch64(dtype: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine()
    for name in ELEMENTARY:
        module = llvm.parse_assembly(native(name, dtype).text(name, 4, 1))
        assert "run:" in target.emit_assembly(module)


SPECIAL = {  # −∞, −1, −0, 0, 1, ∞
    "exp": (0.0, math.exp(-1), 1.0, 1.0, math.e, INF),
    "expm1": (-1.0, math.expm1(-1), -0.0, 0.0, math.expm1(1), INF),
    "log": (NAN, NAN, -INF, -INF, 0.0, INF),
    "log1p": (NAN, -INF, -0.0, 0.0, math.log(2), INF),
    "tanh": (-1.0, -math.tanh(1), -0.0, 0.0, math.tanh(1), 1.0),
    "sigmoid": (0.0, 1 / (1 + math.e), 0.5, 0.5, 1 / (1 + math.exp(-1)), 1.0),
    "softplus": (0.0, math.log1p(math.exp(-1)), math.log(2), math.log(2),
                 math.log1p(math.e), INF),
    "erf": (-1.0, -math.erf(1), -0.0, 0.0, math.erf(1), 1.0),
    "sin": (NAN, -math.sin(1), -0.0, 0.0, math.sin(1), NAN),
    "cos": (NAN, math.cos(1), 1.0, 1.0, math.cos(1), NAN),
    "tan": (NAN, -math.tan(1), -0.0, 0.0, math.tan(1), NAN),
    "arcsin": (NAN, -math.pi / 2, -0.0, 0.0, math.pi / 2, NAN),
    "arccos": (NAN, math.pi, math.pi / 2, math.pi / 2, 0.0, NAN),
    "arctan": (-math.pi / 2, -math.pi / 4, -0.0, 0.0, math.pi / 4, math.pi / 2),
    "sinh": (-INF, -math.sinh(1), -0.0, 0.0, math.sinh(1), INF),
    "cosh": (INF, math.cosh(1), 1.0, 1.0, math.cosh(1), INF),
    "arcsinh": (-INF, -math.asinh(1), -0.0, 0.0, math.asinh(1), INF),
    "arccosh": (NAN, NAN, NAN, NAN, 0.0, INF),
    "arctanh": (NAN, -INF, -0.0, 0.0, INF, NAN),
}  # fmt: skip


@pytest.mark.parametrize("machine", machines())
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_special_values(name: str, dtype: str, width: int, machine: str) -> None:
    x = np.asarray([-INF, -1.0, -0.0, 0.0, 1.0, INF], dtype)
    y = native(name, dtype, width, machine)(x)
    expected = np.asarray(SPECIAL[name])
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    known = ~np.isnan(expected)
    np.testing.assert_allclose(y[known], expected[known], rtol=4 * np.finfo(dtype).eps)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ELEMENTARY, *ELEMENTARY_2])
def test_nan_stays_nan(name: str, dtype: str) -> None:
    x = np.asarray([NAN, -NAN, NAN, 1.0], dtype)
    arguments = (x,) if name in ELEMENTARY else (x, np.full(4, 0.5, dtype))
    np.testing.assert_array_equal(np.isnan(native(name, dtype)(*arguments)), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid", "sin", "cos"])
def test_bounded_functions_stay_within_their_bounds(name: str, dtype: str) -> None:
    x = np.concatenate([points(name, dtype, 4000), np.linspace(-30, 30, 400_001).astype(dtype)])
    assert np.max(np.abs(native(name, dtype)(x))) <= 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "sin", "tan", "arcsin", "arctan",
                                  "sinh", "arcsinh", "arctanh"])  # fmt: skip
def test_tiny_numbers_are_their_own_image(name: str, dtype: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.asarray([tiny, 3 * tiny, np.finfo(dtype).tiny, 1e-35], dtype)
    x = np.concatenate([x, -x])
    np.testing.assert_array_equal(native(name, dtype)(x), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTARY_2)
def test_two_arguments_as_numpy(name: str, dtype: str) -> None:
    rng = np.random.default_rng(3)
    corners = np.asarray([-INF, -3.0, -1.5, -1.0, -0.0, 0.0, 1.0, 2.5, 4.0, INF])
    x, y = (np.concatenate([g.ravel(), rng.normal(size=500) * 5])
            for g in np.meshgrid(corners, corners))  # fmt: skip
    x, y = x.astype(dtype), y.astype(dtype)
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(np, name)(x, y))
    result = native(name, dtype)(x, y)
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(
        np.signbit(result[expected == 0]), np.signbit(expected[expected == 0])
    )


def powers(dtype: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases and exponents of every size whose powers are numbers, and near 1."""
    rng = np.random.default_rng(7)
    largest = 700.0 if dtype == "float64" else 86.0
    log = np.concatenate([
        rng.uniform(-largest, largest, count), rng.normal(size=count),
        rng.choice([-1, 1], count) * 10.0 ** rng.uniform(-15, 0, count),
    ])  # fmt: skip
    x = np.exp(log).astype(dtype)
    target = rng.uniform(-largest, largest, len(x)) * rng.choice([1.0, 0.1, 1e-3], len(x))
    with np.errstate(all="ignore"):
        y = np.where(x == 1, 2.5, target / np.log(x.astype(float))).astype(dtype)
    whole = np.arange(-20, 21).astype(dtype)
    few = rng.uniform(0.1, 9.0, len(whole)).astype(dtype)
    tiny = np.asarray([5e-324, 3e-310, 1e-308] if dtype == "float64" else [1e-45, 3e-40], dtype)
    return np.concatenate([x, few, tiny]), np.concatenate([y, whole, 0.7 + 0 * tiny])


@pytest.mark.parametrize("machine", machines())
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_are_within_their_bound(dtype: str, machine: str) -> None:
    x, y = powers(dtype, 700)
    with mp.workprec(200):
        exact = [mp.mpf(float(a)) ** mp.mpf(float(c)) for a, c in zip(x, y, strict=True)]
        high = np.asarray([float(v) for v in exact])
        low = np.asarray([float(v - mp.mpf(h)) for v, h in zip(exact, high, strict=True)])
    for width in (1, 8, 16):
        found = native("power", dtype, width, machine)(x, y)
        assert np.max(ulps(found, high, low)) <= BOUNDS_2["power"][dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_power_does_not_depend_on_its_neighbours(dtype: str) -> None:
    x, y = powers(dtype, 100)
    alone = native("power", dtype, 1)(x, y)
    odd = x.copy()
    odd[::3] = -2.0
    beside = native("power", dtype, 8)(odd, y)
    kept = np.arange(len(x)) % 3 != 0
    np.testing.assert_array_equal(beside[kept], alone[kept])


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_overflow_and_vanish(dtype: str) -> None:
    x = np.asarray([10.0, 10.0, 0.1, 0.1, 0.0, 0.0, -0.0, 0.0, 1.0, 2.0], dtype)
    y = np.asarray([3e38, -3e38, 3e38, -3e38, 0.5, 0.0, 3.0, -1.5, 3e38, -160.0], dtype)
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    found = native("power", dtype)(x, y)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
