"""Functions of numbers, applied entry by entry.

Each record states its partial derivatives once, as expressions of result and operands; both
modes of differentiation, the tests and the explanations follow from that line.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.graph import Node, constant, is_scalar_constant, scalar_value
from thalweg.ops.families import Elementwise, Linear, broadcast, cast_to, select

POSITIVE = ((0.1, 4.0),)
PAIR = ((-2.0, 2.0), (-2.0, 2.0))


# -- arithmetic ----------------------------------------------------------------
def _simpler_sum(x: Node, y: Node) -> Node | None:
    if is_scalar_constant(x, 0.0):
        return y
    return x if is_scalar_constant(y, 0.0) else None


def _simpler_product(x: Node, y: Node) -> Node | None:
    for factor, other in ((x, y), (y, x)):
        value = scalar_value(factor)
        if value == 1.0:
            return other
        if value == -1.0:
            return negative.bind(other)
    for factor, other in ((x, y), (y, x)):
        if factor.name == "divide" and is_scalar_constant(factor.inputs[0], 1.0):
            return divide.bind(other, factor.inputs[1])
    return None


def _simpler_power(x: Node, y: Node) -> Node | None:
    return x if scalar_value(y) == 1.0 else None


add: Elementwise = Elementwise(
    name="add",
    evaluate=np.add,
    partials=(
        lambda out, x, y: constant(1.0, out.dtype),
        lambda out, x, y: constant(1.0, out.dtype),
    ),
    simplify=_simpler_sum,
    source="{0} + {1}",
    latex="{0} + {1}",
    precedence=20,
    domain=PAIR,
)
subtract: Elementwise = Elementwise(
    name="subtract",
    evaluate=np.subtract,
    partials=(
        lambda out, x, y: constant(1.0, out.dtype),
        lambda out, x, y: constant(-1.0, out.dtype),
    ),
    simplify=lambda x, y: x if is_scalar_constant(y, 0.0) else None,
    source="{0} - {1}",
    latex="{0} - {1}",
    precedence=20,
    domain=PAIR,
)
multiply: Elementwise = Elementwise(
    name="multiply",
    evaluate=np.multiply,
    partials=(lambda out, x, y: y, lambda out, x, y: x),
    simplify=_simpler_product,
    unbounded=True,
    source="{0} * {1}",
    latex=r"{0} \cdot {1}",
    precedence=30,
    domain=PAIR,
)
divide: Elementwise = Elementwise(
    name="divide",
    evaluate=np.divide,
    partials=(lambda out, x, y: 1 / y, lambda out, x, y: -out / y),
    simplify=lambda x, y: x if is_scalar_constant(y, 1.0) else None,
    inexact=True,
    unbounded=True,
    source="{0} / {1}",
    latex=r"\frac{{{0}}}{{{1}}}",
    precedence=30,
    domain=((-2.0, 2.0), (0.5, 2.0)),
)
negative: Elementwise = Elementwise(
    name="negative",
    evaluate=np.negative,
    partials=(lambda out, x: constant(-1.0, out.dtype),),
    simplify=lambda x: x.inputs[0] if x.name == "negative" else None,
    source="-{0}",
    latex="-{0}",
    precedence=35,
)


def _power_of_exponent(out: Node, x: Node, y: Node) -> Node | None:
    if scalar_value(y) is not None:
        return None
    return select(x == 0, 0.0, out * log(select(x == 0, 1.0, x)))


def _power_of_base(out: Node, x: Node, y: Node) -> Any:
    exponent = scalar_value(y)
    if exponent is None:  # y x^(y-1), and 0 at y = 0 whatever x is
        return select(y == 0, 0.0, y * x ** select(y == 0, 1.0, y - 1))
    return 0.0 * out if exponent == 0 else exponent * x ** (exponent - 1)


def _power(x: Any, y: Any) -> Any:
    """X to the power y; one exponent of 2, 1/2 or -1 for all entries is computed exactly."""
    y = np.asarray(y)
    if y.size == 1 or (y.size and not any(y.strides)):
        exact = {2.0: np.square, 0.5: np.sqrt, -1.0: np.reciprocal}.get(float(y.flat[0]))
        if exact is not None and np.asarray(x).dtype.kind == "f":
            return exact(x)
    return np.power(x, y)


power: Elementwise = Elementwise(
    name="power",
    evaluate=_power,
    helper=_power,
    partials=(_power_of_base, _power_of_exponent),
    simplify=_simpler_power,
    unbounded=True,
    source="{0} ** {1}",
    latex="{{{0}}}^{{{1}}}",
    precedence=40,
    domain=((0.2, 3.0), (-2.0, 3.0)),
)


def _share(out: Node, wins: Node, loses: Node) -> Node:
    """The derivative of the larger of two: all, nothing, or half of it where they are equal."""
    all_of_it, half, nothing = (constant(value, out.dtype) for value in (1.0, 0.5, 0.0))
    return select(wins, all_of_it, select(loses, nothing, half))


maximum: Elementwise = Elementwise(
    name="maximum",
    evaluate=np.maximum,
    partials=(
        lambda out, x, y: _share(out, x > y, x < y),
        lambda out, x, y: _share(out, x < y, x > y),
    ),
    masks=(lambda out, x, y: x >= y, lambda out, x, y: x <= y),
    source="np.maximum({0}, {1})",
    latex=r"\max\left({0}, {1}\right)",
    domain=PAIR,
)
minimum: Elementwise = Elementwise(
    name="minimum",
    evaluate=np.minimum,
    partials=(
        lambda out, x, y: _share(out, x < y, x > y),
        lambda out, x, y: _share(out, x > y, x < y),
    ),
    masks=(lambda out, x, y: x <= y, lambda out, x, y: x >= y),
    source="np.minimum({0}, {1})",
    latex=r"\min\left({0}, {1}\right)",
    domain=PAIR,
)
remainder: Elementwise = Elementwise(
    name="remainder",
    evaluate=np.remainder,
    partials=(lambda out, x, y: constant(1.0, out.dtype), lambda out, x, y: -floor(x / y)),
    unbounded=True,
    source="np.remainder({0}, {1})",
    latex=r"{0} \bmod {1}",
    domain=((0.1, 0.9), (1.0, 2.0)),
)


# -- exponentials and powers ---------------------------------------------------
def _function(name: str, evaluate: Any, partial: Any, **more: Any) -> Elementwise:
    more.setdefault("source", f"np.{name}({{0}})")
    more.setdefault("latex", rf"\{name}\left({{0}}\right)")
    return Elementwise(name=name, evaluate=evaluate, partials=(partial,), inexact=True, **more)


exp: Elementwise = _function("exp", np.exp, lambda out, x: out, unbounded=True, latex="e^{{{0}}}")
expm1: Elementwise = _function(
    "expm1", np.expm1, lambda out, x: out + 1, unbounded=True, latex=r"\left(e^{{{0}}} - 1\right)"
)
log: Elementwise = _function("log", np.log, lambda out, x: 1 / x, unbounded=True, domain=POSITIVE)
log1p: Elementwise = _function(
    "log1p",
    np.log1p,
    lambda out, x: 1 / (1 + x),
    unbounded=True,
    domain=((-0.8, 3.0),),
    latex=r"\log\left(1 + {0}\right)",
)
sqrt: Elementwise = _function(
    "sqrt",
    np.sqrt,
    lambda out, x: 0.5 / out,
    unbounded=True,
    domain=POSITIVE,
    latex=r"\sqrt{{{0}}}",
)

# -- trigonometric and hyperbolic functions and their inverses -----------------
INSIDE = ((-0.9, 0.9),)
sin: Elementwise = _function("sin", np.sin, lambda out, x: cos(x))
cos: Elementwise = _function("cos", np.cos, lambda out, x: -sin(x))
tan: Elementwise = _function(
    "tan", np.tan, lambda out, x: 1 + out * out, unbounded=True, domain=((-1.2, 1.2),)
)
arcsin: Elementwise = _function(
    "arcsin", np.arcsin, lambda out, x: 1 / sqrt(1 - x * x), unbounded=True, domain=INSIDE
)
arccos: Elementwise = _function(
    "arccos", np.arccos, lambda out, x: -1 / sqrt(1 - x * x), unbounded=True, domain=INSIDE
)
arctan: Elementwise = _function("arctan", np.arctan, lambda out, x: 1 / (1 + x * x))
arctan2: Elementwise = Elementwise(
    name="arctan2",
    evaluate=np.arctan2,
    partials=(
        lambda out, y, x: x / (x * x + y * y),
        lambda out, y, x: -y / (x * x + y * y),
    ),
    inexact=True,
    unbounded=True,
    source="np.arctan2({0}, {1})",
    latex=r"\operatorname{{atan2}}\left({0}, {1}\right)",
    domain=((0.5, 2.0), (-2.0, 2.0)),
)
sinh: Elementwise = _function("sinh", np.sinh, lambda out, x: cosh(x), unbounded=True)
cosh: Elementwise = _function("cosh", np.cosh, lambda out, x: sinh(x), unbounded=True)
tanh: Elementwise = _function("tanh", np.tanh, lambda out, x: 1 - out * out)
arcsinh: Elementwise = _function(
    "arcsinh",
    np.arcsinh,
    lambda out, x: 1 / sqrt(1 + x * x),
    latex=r"\operatorname{{arsinh}}\left({0}\right)",
)
arccosh: Elementwise = _function(
    "arccosh",
    np.arccosh,
    lambda out, x: 1 / (sqrt(x - 1) * sqrt(x + 1)),
    unbounded=True,
    domain=((1.2, 4.0),),
    latex=r"\operatorname{{arcosh}}\left({0}\right)",
)
arctanh: Elementwise = _function(
    "arctanh",
    np.arctanh,
    lambda out, x: 1 / ((1 - x) * (1 + x)),
    unbounded=True,
    domain=INSIDE,
    latex=r"\operatorname{{artanh}}\left({0}\right)",
)


# -- functions of statistics and networks --------------------------------------
def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), np.ones_like(small), small) / (1 + small)


def _softplus(x: Any) -> Any:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _erf(x: Any) -> Any:
    from scipy.special import erf as scipy_erf  # SciPy is loaded only where erf is used

    return scipy_erf(x)


sigmoid: Elementwise = _function(
    "sigmoid",
    _sigmoid,
    lambda out, x: out * (1 - out),
    helper=_sigmoid,
    source="sigmoid({0})",
    latex=r"\sigma\left({0}\right)",
    domain=((-4.0, 4.0),),
)
softplus: Elementwise = _function(
    "softplus",
    _softplus,
    lambda out, x: sigmoid(x),
    helper=_softplus,
    source="softplus({0})",
    latex=r"\operatorname{{softplus}}\left({0}\right)",
    domain=((-4.0, 4.0),),
)
erf: Elementwise = _function(
    "erf",
    _erf,
    lambda out, x: 2.0 / math.sqrt(math.pi) * exp(-(x * x)),
    helper=_erf,
    source="erf({0})",
    latex=r"\operatorname{{erf}}\left({0}\right)",
)

# -- size, sign, rounding ------------------------------------------------------
NONZERO = ((0.2, 2.0),)
abs: Elementwise = Elementwise(
    name="abs",
    evaluate=np.abs,
    partials=(lambda out, x: sign(x),),
    source="np.abs({0})",
    latex=r"\left|{0}\right|",
    domain=NONZERO,
)


def _step(name: str, evaluate: Any, **more: Any) -> Elementwise:
    """A function whose derivative is zero almost everywhere."""
    more.setdefault("domain", ((0.1, 0.4),))
    more.setdefault("source", f"np.{name}({{0}})")
    more.setdefault("latex", rf"\operatorname{{{{{name}}}}}\left({{0}}\right)")
    return Elementwise(name=name, evaluate=evaluate, partials=(None,), **more)


sign: Elementwise = _step("sign", np.sign)
floor: Elementwise = _step("floor", np.floor, latex=r"\lfloor {0} \rfloor")
ceil: Elementwise = _step("ceil", np.ceil, latex=r"\lceil {0} \rceil")
rint: Elementwise = _step("rint", np.rint)
stop_gradient: Elementwise = _step("stop_gradient", np.asarray, source="{0}", latex="{0}")


# -- comparisons and logic -----------------------------------------------------
def _comparison(name: str, evaluate: Any, symbol: str, latex: str, **more: Any) -> Elementwise:
    return Elementwise(
        name=name,
        evaluate=evaluate,
        partials=(None, None),
        result="bool",
        source=f"{{0}} {symbol} {{1}}",
        latex=f"{{0}} {latex} {{1}}",
        domain=PAIR,
        **{"precedence": 10, **more},
    )


def _truth(x: Node) -> Node:
    return cast_to(x, np.dtype("bool"))


def _simpler_and(x: Node, y: Node) -> Node | None:
    if x.dtype.kind != "b" or y.dtype.kind != "b":
        return logical_and.bind(_truth(x), _truth(y))
    if is_scalar_constant(x, 1.0):
        return y
    return x if x is y or is_scalar_constant(y, 1.0) else None


def _simpler_or(x: Node, y: Node) -> Node | None:
    if x.dtype.kind != "b" or y.dtype.kind != "b":
        return logical_or.bind(_truth(x), _truth(y))
    if x is y:
        return x
    opposites = logical_not.bind(x) is y or logical_not.bind(y) is x
    return broadcast(constant(True), x.shape) if opposites else None


def _simpler_not(x: Node) -> Node | None:
    if x.dtype.kind != "b":
        return logical_not.bind(_truth(x))
    return x.inputs[0] if x.name == "logical_not" else None


less: Elementwise = _comparison("less", np.less, "<", "<")
less_equal: Elementwise = _comparison("less_equal", np.less_equal, "<=", r"\le")
greater: Elementwise = _comparison("greater", np.greater, ">", ">")
greater_equal: Elementwise = _comparison("greater_equal", np.greater_equal, ">=", r"\ge")
equal: Elementwise = _comparison("equal", np.equal, "==", "=")
not_equal: Elementwise = _comparison("not_equal", np.not_equal, "!=", r"\ne")
logical_and: Elementwise = _comparison(
    "logical_and", np.logical_and, "&", r"\wedge", precedence=15, simplify=_simpler_and
)
logical_or: Elementwise = _comparison(
    "logical_or", np.logical_or, "|", r"\vee", precedence=12, simplify=_simpler_or
)
logical_not: Elementwise = Elementwise(
    name="logical_not",
    evaluate=np.logical_not,
    partials=(None,),
    simplify=_simpler_not,
    result="bool",
    source="~{0}",
    latex=r"\neg {0}",
    precedence=35,
)
isfinite: Elementwise = Elementwise(
    name="isfinite",
    evaluate=np.isfinite,
    partials=(None,),
    result="bool",
    source="np.isfinite({0})",
    latex=r"\operatorname{{isfinite}}\left({0}\right)",
)
isnan: Elementwise = Elementwise(
    name="isnan",
    evaluate=np.isnan,
    partials=(None,),
    result="bool",
    source="np.isnan({0})",
    latex=r"\operatorname{{isnan}}\left({0}\right)",
)


def _batch_where(primitive: Linear, inputs: Any, batched: Any, attributes: Any) -> Node:
    shape = next(i.shape for i, b in zip(inputs, batched, strict=True) if b)
    return primitive.bind(*(broadcast(i, shape) for i in inputs))


where: Linear = Linear(
    name="where",
    evaluate=np.where,
    transposes=(
        None,
        lambda ct, node: select(node.inputs[0], ct, 0.0),
        lambda ct, node: select(node.inputs[0], 0.0, ct),
    ),
    shape_of=lambda c, x, y: x.shape,
    batched_form=_batch_where,
    jointly=True,
    selects=True,
    source="np.where({0}, {1}, {2})",
    latex=r"\begin{{cases}}{1} & {0}\\{2} & \text{{otherwise}}\end{{cases}}",
)
cast: Linear = Linear(
    name="cast",
    evaluate=lambda x, dtype: np.asarray(x).astype(dtype),
    transposes=(
        lambda ct, node: (
            cast_to(ct, node.inputs[0].dtype)
            if node.inputs[0].dtype.kind == node.dtype.kind == "f"
            else None
        ),
    ),
    shape_of=lambda x, dtype: x.shape,
    batched_form=lambda primitive, inputs, batched, attributes: primitive.bind(
        *inputs, **attributes
    ),
    source="{0}.astype('{dtype}')",
    latex="{0}",
)
