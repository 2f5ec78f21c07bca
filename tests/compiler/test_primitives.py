"""Every registered primitive: compiled code gives the interpreter's values, awkward ones too."""

import itertools

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.assemble import ASSEMBLERS
from thalweg.compiler.binary import ELEMENTARY_2
from thalweg.compiler.decompose import RULES as DECOMPOSED
from thalweg.compiler.elementary import BOUNDS, ELEMENTARY
from thalweg.compiler.fuse import REDUCTIONS as REDUCTIONS_AND_PRODUCTS
from thalweg.compiler.lowering import LOWERING
from thalweg.compiler.views import VIEW_RULES
from thalweg.graph import PRIMITIVES
from thalweg.interpreter import interpret
from thalweg.ops.families import Elementwise, Reduction

ANY_ZERO = ("maximum", "minimum")  # of 0 and -0 NumPy gives either
FLOATS = ["float64", "float32"]
EXACT = ["int64", "int32", "bool"]
INTERPRETER = 4.0  # ULP that NumPy and SciPy themselves may be off
EXACTLY = dict.fromkeys([*ELEMENTARY, *ELEMENTARY_2], 8.0)
ELEMENTWISE = [name for name, p in PRIMITIVES.items() if isinstance(p, Elementwise)]
REDUCTIONS = [name for name, p in PRIMITIVES.items() if isinstance(p, Reduction)]

KNOWN = {
    *LOWERING,
    *ELEMENTARY,
    *ELEMENTARY_2,
    *VIEW_RULES,
    *REDUCTIONS_AND_PRODUCTS,
    *ASSEMBLERS,
    *DECOMPOSED,
}


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_completeness(name):
    assert name in KNOWN, "add a row to lowering.py, a rule to fuse.py or a decomposition"


def test_nothing_is_known_that_does_not_exist():
    assert set(PRIMITIVES) >= KNOWN


def awkward(dtype):
    """Values at which naive code goes wrong, of either sign."""
    limits = np.finfo(dtype)
    sizes = [
        0.0, limits.smallest_subnormal, 3 * limits.smallest_subnormal, limits.tiny, limits.eps,
        1e-5, 0.3, 0.5, 1.0, 1.0 + limits.eps, 1.5, 2.0, 2.5, 3.0, 19.5, 87.0, 1e4, 1e15,
        limits.max, np.inf, np.nan,
    ]  # fmt: skip
    return np.array([s * x for x in sizes for s in (1, -1)], dtype)


def run(primitive, operands, **attributes):
    """Compiled and interpreted values."""
    f = lambda *x: primitive(*x, **attributes)
    (wanted,) = interpret(tw.trace(f, *operands), operands)
    found = tw.compile(f)(*operands)
    assert (np.shape(found), found.dtype) == (np.shape(wanted), wanted.dtype)
    return found, wanted


def ulp(found, wanted):
    """How far apart in units of the last place of the wanted values."""
    with np.errstate(all="ignore"):
        apart = np.abs(found - wanted) / np.spacing(np.abs(wanted))
        return np.where((found == wanted) | (np.isnan(found) & np.isnan(wanted)), 0.0, apart)


def agree(found, wanted, most, name=""):
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted)
        return
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(wanted))
    assert np.max(ulp(found, wanted), initial=0.0) <= most
    zero = wanted == (np.nan if name in ANY_ZERO else 0)
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(wanted[zero]))


def allowed(name, dtype):
    """ULP between compiled and interpreted: what either may be off; nothing for arithmetic."""
    return BOUNDS[name][dtype] + INTERPRETER if name in BOUNDS else EXACTLY.get(name, 0.5)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (64,), (133,), (3, 5), (2, 33)])
def test_elementwise_on_its_domain(name, dtype, shape):
    primitive = PRIMITIVES[name]
    random = np.random.default_rng(len(name))
    domains = list(primitive.domain) * (3 - len(primitive.domain))
    operands = [
        np.asarray(random.uniform(*domains[k], shape), dtype)
        for k in range(len(primitive.partials))
    ]
    found, wanted = run(primitive, operands)
    agree(np.asarray(found), np.asarray(wanted), allowed(name, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_at_awkward_values(name, dtype):
    primitive = PRIMITIVES[name]
    points = awkward(dtype)
    operands = [points]
    if len(primitive.partials) == 2:
        pairs = np.array(list(itertools.product(points, points)), dtype)
        operands = [pairs[:, 0].copy(), pairs[:, 1].copy()]
    found, wanted = run(primitive, operands)
    agree(found, wanted, allowed(name, dtype), name)


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_of_integers_and_booleans(name, dtype):
    primitive = PRIMITIVES[name]
    values = [0, 1] if dtype == "bool" else [0, 1, -1, 2, 3, -7, 10, 100, -(2**31), 2**31 - 1]
    if dtype == "int64" and name != "rint":  # that one goes through float64 in NumPy
        values += [2**62, -(2**63), 2**53 + 1]
    count = len(primitive.partials)
    table = np.array(list(itertools.product(values, repeat=count)), dtype)
    operands = [table[:, k].copy() for k in range(count)]
    try:
        with np.errstate(all="ignore"):
            primitive.evaluate(*operands)
    except (TypeError, ValueError) as refused:
        pytest.skip(f"NumPy refuses: {refused}")
    found, wanted = run(primitive, operands)
    agree(found, wanted, allowed(name, "float64"))


@pytest.mark.parametrize("dtype", [*FLOATS, *EXACT])
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((5,), (0,)),
        ((133,), (0,)),
        ((1, 7), (0,)),
        ((19, 3), (0,)),
        ((3, 19), (1,)),
        ((3, 21), (0, 1)),
        ((4, 3, 18), (0, 2)),
        ((4, 3, 18), (1,)),
        ((2, 3, 2, 35), (1, 3)),
    ],
)
def test_reductions(name, dtype, shape, axes):
    if name.startswith("arg") and len(axes) > 1:
        pytest.skip("of one axis only")
    if name in ("logsumexp", "norm") and dtype in EXACT:
        pytest.skip("of floating-point numbers only")
    random = np.random.default_rng(3)
    x = random.integers(0, 2 if dtype == "bool" else 9, shape).astype(dtype)
    if dtype in FLOATS:
        x = x + random.uniform(0, 1, shape).astype(dtype)
    found, wanted = run(PRIMITIVES[name], [x], axes=axes)
    agree(np.asarray(found), np.asarray(wanted), 16.0)  # sums in another order


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("row", range(8))
def test_reductions_of_awkward_values(name, dtype, row):
    rows = [
        [np.nan, 1.0, 2.0],
        [1.0, 2.0, np.nan],
        [np.inf, 1.0, np.inf],
        [-np.inf, -np.inf, -np.inf],
        [0.0, 0.0, -0.0],
        [np.inf, -np.inf, 1.0],
        [1e-30, 1e-30, 1e-30],
        [1e30, -1e30, 1e30],
    ]
    for repeats in (1, 13):
        x = np.array([rows[row] * repeats] * 3, dtype)
        found, wanted = run(PRIMITIVES[name], [x], axes=(1,))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-5 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize(("name", "wanted"), [("sum", 0.0), ("any", False), ("all", True)])
def test_reductions_of_nothing(name, wanted):
    for shape, axes in [((0,), (0,)), ((3, 0), (1,)), ((0, 3), (0,))]:
        found = tw.compile(lambda x, a=axes: PRIMITIVES[name](x, axes=a))(np.zeros(shape))
        np.testing.assert_array_equal(found, np.full([n for n in shape if n], wanted))


@pytest.mark.parametrize(("source", "target"), [*itertools.product([*FLOATS, *EXACT], repeat=2)])
def test_casts(source, target):
    values = [0, 1, -1, 2, 100, -7, 2.5, -2.5, 0.4, -0.0, 1e5]
    x = np.array(values).astype(source)
    if target in FLOATS and source in FLOATS:
        x = awkward(source)
    with np.errstate(all="ignore"):
        wanted = x.astype(target)
    found = tw.compile(lambda x: PRIMITIVES["cast"](x, dtype=target))(x)
    agree(np.asarray(found), wanted, 0.0)


def test_integers_beyond_two_to_the_53_are_exact():
    big = 2**62 + 1
    found = tw.compile(lambda x: x + np.int64(big))(np.array([0, 1, -big]))
    assert found.tolist() == [big, big + 1, 0]


I3, J3 = np.array([0, -1, 2]), np.array([1, 0, -2])
MOVES = {
    "broadcast_to": [((3,), {"shape": (2, 3)}), ((2, 1), {"shape": (4, 2, 19)})],
    "cast": [((5,), {"dtype": "float64"})],
    "concatenate": [(((2, 3), (1, 3)), {"axis": 0}), (((2, 0), (2, 9), (2, 1)), {"axis": 1})],
    "cumsum": [((3, 1, 17), {"axis": a}) for a in range(3)],
    "flip": [((4, 19), {"axes": (1,)}), ((4, 1, 18), {"axes": (0, 1, 2)})],
    "gather": [(((5, 19), I3), {}), (((5, 4), I3, J3), {}), (((4,), np.array([[0, 3]])), {})],
    "matmul": [
        (((3, 5), (5, 4)), {}),
        (((17, 33), (33, 29)), {}),
        (((1, 5), (5, 1)), {}),
        (((3, 1), (1, 19)), {}),
        (((3, 0), (0, 4)), {}),
        (((2, 3, 5), (2, 5, 18)), {}),
        (((2, 1, 3, 5), (2, 1, 5, 7)), {}),
    ],
    "place": [
        ((3,), {"shape": (9,), "starts": (1,), "stops": (8,), "steps": (3,)}),
        ((2, 17), {"shape": (5, 40), "starts": (0, 3), "stops": (5, 36), "steps": (3, 2)}),
    ],
    "reshape": [((2, 3, 4), {"shape": (8, 3)}), ((6,), {"shape": (1, 3, 1, 2)})],
    "scatter_add": [
        (((3, 18), np.array([4, 4, -1])), {"shape": (5, 18)}),
        (((3,), I3, J3), {"shape": (3, 3)}),
        (((2, 2, 3), np.array([[0, 1], [1, 1]])), {"shape": (2, 3)}),
    ],
    "slice": [((9, 21), {"starts": (1, 2), "stops": (9, 21), "steps": (3, 2)})],
    "transpose": [((17, 19), {"axes": (1, 0)}), ((2, 3, 1, 18), {"axes": (3, 1, 0, 2)})],
    "where": [((np.array([True, False, True]), (3,), (3,)), {})],
}


def operand(given, dtype, random):
    if isinstance(given, np.ndarray):
        return given
    return random.integers(-9, 9, given).astype(dtype)  # sums of integers are exact


@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "int32"])
@pytest.mark.parametrize(
    ("name", "case"), [(name, k) for name in sorted(MOVES) for k in range(len(MOVES[name]))]
)
def test_moves_and_products(name, case, dtype):
    given, attributes = MOVES[name][case]
    random = np.random.default_rng(5)
    many = isinstance(given[0], tuple | np.ndarray)
    operands = [operand(g, dtype, random) for g in (given if many else (given,))]
    found, wanted = run(PRIMITIVES[name], operands, **attributes)
    np.testing.assert_array_equal(found, wanted)


def test_every_other_primitive_has_a_case():
    others = set(PRIMITIVES) - set(ELEMENTWISE) - set(REDUCTIONS)
    assert set(MOVES) == others, "add a case with shapes and attributes to this file"


def test_matmul_of_booleans_is_refused_or_right():
    x = np.array([[True, False], [True, True]])
    found = tw.compile(lambda a: a @ a)(x)
    np.testing.assert_array_equal(found, x @ x)


def test_traced_and_batched_indices():
    x, picks = np.arange(12.0).reshape(4, 3), np.array([[0, -1], [3, 3], [2, -4]])
    f = lambda x, p: x[p]
    np.testing.assert_array_equal(tw.compile(f)(x, picks), x[picks])
    batched = tw.compile(tw.vmap(f, (None, 0)))
    np.testing.assert_array_equal(batched(x, picks), np.stack([x[p] for p in picks]))
    many = np.stack([x, 2 * x, 3 * x])
    wanted = np.stack([m[p] for m, p in zip(many, picks, strict=True)])
    np.testing.assert_array_equal(tw.compile(tw.vmap(f))(many, picks), wanted)
    slope = tw.vmap(tw.grad(lambda x, p: (x[p] ** 2).sum()))
    np.testing.assert_array_equal(tw.compile(slope)(many, picks), slope(many, picks))
    int32 = picks.astype(np.int32)
    np.testing.assert_array_equal(tw.compile(f)(x, int32), x[picks])


@pytest.mark.parametrize("index", [4, -5, 2**40, -(2**63)])
def test_an_index_out_of_range_is_an_error(index):
    x = np.arange(4.0)
    f = tw.compile(lambda x, p: (x[p], x + 1))
    with pytest.raises(IndexError, match="out of range"):
        f(x, np.array([0, index]))
    assert f(x, np.array([0, 3]))[0].tolist() == [0.0, 3.0]
    with pytest.raises(IndexError):
        tw.compile(tw.grad(lambda x, p: (x[p] ** 2).sum()))(x, np.array([index]))


@pytest.mark.parametrize("sign", [1, -1])
def test_rests_by_a_mersenne_prime_of_what_may_and_may_not_be_negative(sign):
    prime = 2**31 - 1
    edges = [0, 1, 2, prime - 1, prime, prime + 1, 2 * prime, 2**32, 2**62, 2**63 - 1]
    x = sign * np.array(edges + list(np.random.default_rng(0).integers(0, 2**63 - 1, 50)))

    def rests(x):
        h = x % prime  # of any sign
        return h, h * h % prime, (h * h % prime * h + 362_437_069) % prime, x * x % prime

    for found, number in zip(np.stack(tw.compile(rests)(x)).T, x, strict=True):
        n = int(number)
        wrapped = (n * n + 2**63) % 2**64 - 2**63
        wanted = [n % prime, n**2 % prime, (n**3 + 362_437_069) % prime, wrapped % prime]
        assert list(found) == wanted
