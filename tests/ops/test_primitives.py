"""Every registered primitive, tested by itself: what is registered is tested."""

import itertools

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.graph import PRIMITIVES, Primitive
from thalweg.interpreter import interpret
from thalweg.ops.families import Elementwise, Linear, Reduction

I3 = np.array([0, 2, 2])
J3 = np.array([1, 0, 1])
MASK = np.array([[True, False, True], [False, True, True]])

# Operands of the linear primitives: shapes of floating-point ones, arrays for fixed ones.
LINEAR = {
    "reshape": [
        ([(2, 3)], {"shape": (3, 2)}),
        ([(2, 3)], {"shape": (6,)}),
        ([()], {"shape": (1,)}),
    ],
    "transpose": [([(2, 3)], {"axes": (1, 0)}), ([(2, 3, 4)], {"axes": (2, 0, 1)})],
    "broadcast_to": [
        ([(3,)], {"shape": (2, 3)}),
        ([(2, 1)], {"shape": (2, 3)}),
        ([()], {"shape": (2, 2)}),
        ([(1, 3, 1)], {"shape": (2, 3, 2)}),
    ],
    "concatenate": [([(2, 3), (1, 3)], {"axis": 0}), ([(2, 1), (2, 2), (2, 1)], {"axis": 1})],
    "slice": [
        ([(5,)], {"starts": (1,), "stops": (4,), "steps": (1,)}),
        ([(4, 5)], {"starts": (0, 1), "stops": (4, 5), "steps": (3, 2)}),
    ],
    "place": [
        ([(3,)], {"shape": (5,), "starts": (1,), "stops": (4,), "steps": (1,)}),
        ([(2, 2)], {"shape": (4, 5), "starts": (0, 1), "stops": (4, 5), "steps": (3, 2)}),
    ],
    "flip": [([(2, 3)], {"axes": (1,)}), ([(2, 3)], {"axes": (0, 1)})],
    "cumsum": [([(2, 3)], {"axis": 0}), ([(2, 3)], {"axis": 1})],
    "gather": [
        ([(4, 3), I3], {}),
        ([(3, 3), I3, J3], {}),
        ([(3,), np.array([[0, 1], [1, 1]])], {}),
    ],
    "scatter_add": [
        ([(3, 2), I3], {"shape": (4, 2)}),
        ([(3,), I3, J3], {"shape": (3, 3)}),
    ],
    "matmul": [([(2, 3), (3, 4)], {}), ([(2, 1), (1, 3)], {}), ([(5, 2, 3), (5, 3, 2)], {})],
    "where": [([MASK, (2, 3), (2, 3)], {})],
    "cast": [([(2, 3)], {"dtype": "float64"})],
}


def _cases() -> list:
    found = []
    for name, primitive in PRIMITIVES.items():
        if isinstance(primitive, Elementwise):
            for shape in ((), (3,), (2, 3)):
                operands = [shape] * len(primitive.partials)
                found.append(pytest.param(primitive, operands, {}, id=f"{name}{shape}"))
        elif isinstance(primitive, Reduction):
            for axes in ((0,), (1,)) if name.startswith("arg") else ((0,), (1,), (0, 1)):
                found.append(pytest.param(primitive, [(3, 4)], {"axes": axes}, id=f"{name}{axes}"))
        else:
            for k, (operands, attributes) in enumerate(LINEAR.get(name, [])):
                found.append(pytest.param(primitive, operands, attributes, id=f"{name}-{k}"))
    return found


CASES = _cases()
every_case = pytest.mark.parametrize(("primitive", "operands", "attributes"), CASES)


class Case:
    """One primitive on drawn operands: a function of the floating-point ones."""

    def __init__(self, primitive: Primitive, operands: list, attributes: dict) -> None:
        random = np.random.default_rng(sum(map(ord, primitive.name)))
        self.primitive, self.attributes = primitive, dict(attributes)
        self.fixed, self.points, self.order = [], [], []
        for position, operand in enumerate(operands):
            if isinstance(operand, np.ndarray):
                self.order.append(operand)
                continue
            low, high = primitive.domain[min(position, len(primitive.domain) - 1)]
            self.order.append(None)
            self.points.append(np.asarray(random.uniform(low, high, operand)))

    def __call__(self, *floats):
        values = iter(floats)
        operands = [next(values) if o is None else o for o in self.order]
        attributes = self.attributes
        if self.primitive.name == "cast":
            attributes = {"dtype": str(operands[0].dtype)}
        return self.primitive(*operands, **attributes)

    @property
    def result_dtype(self):
        return tw.trace(self, *self.points).outputs[0].dtype

    def weighted(self, *floats):
        """One number, smooth in the result: its second derivative sees the operation's."""
        out = self(*floats)
        weights = np.linspace(0.5, 1.5, out.size).reshape(out.shape)
        return tnp.sum(weights * out)


def central(f, x, index, h=2e-3):
    """Derivative of f with respect to one entry, of fourth order in h."""

    def at(step):
        moved = x.copy()
        moved[index] += step
        return np.asarray(f(moved))

    return (8 * (at(h / 2) - at(-h / 2)) - (at(h) - at(-h))) / (6 * h)


def numerical_jacobian(f, x, h=2e-3):
    columns = [central(f, x, index, h) for index in np.ndindex(x.shape)]
    return np.stack(columns, axis=-1).reshape((*columns[0].shape, *x.shape))


def relative_error(found, wanted):
    return np.max(np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted)), initial=0.0)


def replace(points, position, value):
    return [value if k == position else p for k, p in enumerate(points)]


@every_case
def test_first_derivatives_against_finite_differences(primitive, operands, attributes):
    case = Case(primitive, operands, attributes)
    if case.result_dtype.kind != "f" or primitive.name == "stop_gradient":
        pytest.skip("no derivative")
    for position, x in enumerate(case.points):
        exact = tw.jacobian(case, argnums=position)(*case.points)
        numerical = numerical_jacobian(lambda v, k=position: case(*replace(case.points, k, v)), x)
        assert relative_error(exact, numerical) <= 1e-7


@every_case
def test_second_derivatives_against_finite_differences(primitive, operands, attributes):
    case = Case(primitive, operands, attributes)
    if case.result_dtype.kind != "f":
        pytest.skip("no derivative")
    for first, second in itertools.product(range(len(case.points)), repeat=2):
        gradient = tw.grad(case.weighted, argnums=first)
        exact = tw.jacobian(gradient, argnums=second)(*case.points)
        numerical = numerical_jacobian(
            lambda v, k=second, g=gradient: g(*replace(case.points, k, v)), case.points[second]
        )
        assert relative_error(exact, numerical) <= 1e-5


@every_case
def test_forward_and_reverse_mode_agree(primitive, operands, attributes):
    case = Case(primitive, operands, attributes)
    if case.result_dtype.kind != "f":
        pytest.skip("no derivative")
    random = np.random.default_rng(1)
    directions = [random.normal(size=p.shape) for p in case.points]
    value, pushed = tw.jvp(case, case.points, directions)
    cotangent = random.normal(size=np.shape(value))
    pulled = tw.vjp(case, *case.points)[1](cotangent)
    forward = np.sum(cotangent * pushed)
    reverse = sum(np.sum(d * p) for d, p in zip(directions, pulled, strict=True))
    assert forward == pytest.approx(reverse, rel=1e-12, abs=1e-12)


@every_case
def test_vmap_against_a_loop(primitive, operands, attributes):
    case = Case(primitive, operands, attributes)
    random = np.random.default_rng(2)
    count = len(case.points)
    for axes in itertools.product((0, None), repeat=count):
        if all(a is None for a in axes):
            continue
        many = [
            p if a is None else p * random.uniform(0.9, 1.0, (4, *p.shape))
            for p, a in zip(case.points, axes, strict=True)
        ]
        rows = [
            [m if a is None else m[k] for m, a in zip(many, axes, strict=True)] for k in range(4)
        ]
        looped = np.stack([case(*row) for row in rows])
        np.testing.assert_allclose(
            tw.vmap(case, in_axes=axes)(*many), looped, rtol=1e-13, atol=1e-15
        )


def test_vmap_over_indices():
    x, picks = np.arange(12.0).reshape(4, 3), np.array([[0, 1], [3, 3], [2, 0]])
    rows = np.stack([x[p] for p in picks])
    np.testing.assert_array_equal(tw.vmap(lambda x, p: x[p], (None, 0))(x, picks), rows)
    many = np.stack([x, 2 * x, 3 * x])
    both = np.stack([m[p] for m, p in zip(many, picks, strict=True)])
    np.testing.assert_array_equal(tw.vmap(lambda x, p: x[p])(many, picks), both)
    gradient = tw.vmap(tw.grad(lambda x, p: tnp.sum(x[p] ** 2)))(many, picks)
    wanted = np.zeros_like(many)
    for k, p in enumerate(picks):
        np.add.at(wanted[k], p, 2 * many[k][p])
    np.testing.assert_allclose(gradient, wanted, rtol=1e-15)


def test_vmap_over_a_mask():
    masks = np.array([[True, False], [False, False], [True, True]])
    choose = tw.vmap(lambda c, x, y: tnp.where(c, x, y), in_axes=(0, None, None))
    x, y = np.array([1.0, 2.0]), np.array([-1.0, -2.0])
    np.testing.assert_array_equal(choose(masks, x, y), np.where(masks, x, y))


@every_case
def test_float32_stays_float32(primitive, operands, attributes):
    case = Case(primitive, operands, attributes)
    points = [p.astype(np.float32) for p in case.points]
    out = case(*points)
    traced = tw.trace(case, *points).outputs[0]
    assert np.asarray(out).dtype == traced.dtype
    if traced.dtype.kind != "f":
        return
    assert traced.dtype == np.float32
    for slope in tw.vjp(case, *points)[1](np.ones_like(out)):
        assert slope.dtype == np.float32
    gradient = tw.grad(lambda *p: tnp.sum(case(*p) * 2.0), argnums=0)
    assert tw.jvp(gradient, points, points)[1].dtype == np.float32


@every_case
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_source_runs_and_equals_the_interpreter(primitive, operands, attributes, dtype):
    case = Case(primitive, operands, attributes)
    points = [p.astype(dtype)[()] for p in case.points]
    functions = [case]
    if case.result_dtype.kind == "f":
        functions.append(tw.grad(lambda *p: tnp.sum(case(*p) * 2.0), tuple(range(len(points)))))
    for f in functions:
        check_source(f, points)


def check_source(f, points):
    text = tw.source(f, *points)
    space: dict = {}
    exec(text, space)
    function = [v for k, v in space.items() if text.rpartition("\ndef ")[2].startswith(k + "(")]
    with np.errstate(all="ignore"):
        found = function[0](*points)
    wanted = interpret(tw.trace(f, *points), points)
    leaves = found if isinstance(found, tuple) else (found,)
    for a, b in zip(leaves, wanted, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype, text
        np.testing.assert_array_equal(a, b, err_msg=text, strict=np.ndim(b) > 0)


@every_case
def test_traced_value_is_the_plain_value(primitive, operands, attributes):
    case = Case(primitive, operands, attributes)
    (traced,) = interpret(tw.trace(case, *case.points), case.points)
    np.testing.assert_array_equal(traced, case(*case.points))


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_completeness(name):
    primitive = PRIMITIVES[name]
    assert primitive.source, "say how it is written as NumPy code"
    assert primitive.latex, "say how it is written in LaTeX"
    assert primitive.domain, "say where it can be tested"
    for low, high in primitive.domain:
        assert low < high
    if isinstance(primitive, Elementwise):
        assert len(primitive.domain) in (1, len(primitive.partials))
        parts = [rf"u_{k}" for k in range(len(primitive.partials))]
        latex = primitive.latex.format(*parts, args=", ".join(parts))
        assert all(p in latex for p in parts)
        assert latex.count("{") == latex.count("}")
    if isinstance(primitive, Linear):
        assert name in LINEAR, "add a case with shapes and attributes to this file"
    called = primitive.source.partition("(")[0]
    if called.isidentifier() and primitive.precedence == 100 and primitive.source != "{0}":
        assert primitive.helper is not None
        assert primitive.helper.__name__.lstrip("_") == called


def test_stop_gradient_passes_values_and_no_derivatives():
    assert tw.value_and_grad(lambda x: x * tnp.stop_gradient(x))(3.0) == (9.0, 3.0)


def test_arity_is_checked():
    with pytest.raises(TypeError, match="sin takes 1"):
        tnp.sin(1.0, 2.0)
