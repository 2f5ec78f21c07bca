"""NumPy's own functions called on traced arrays: ``np.tanh(x)``, ``np.sum(x, axis=0)``.

NumPy hands such calls over (NEP 13 and NEP 18); here they are given to the function of
:mod:`thalweg.numpy` of the same name. An argument that function does not have is refused,
never dropped.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg.errors import TracingError
from thalweg.phrases import Phrase

__all__ = ["call_function", "call_ufunc"]

Operators = Mapping[str, Callable[..., Any]]

# NumPy's names for functions and arguments that bear another name here.
FUNCTIONS = {
    "absolute": "abs",
    "true_divide": "divide",
    "amax": "max",
    "amin": "min",
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
    "invert": "logical_not",
}
ARGUMENTS = {"ddof": "correction", "a_min": "min", "a_max": "max", "newshape": "shape"}


def call_ufunc(
    operators: Operators, ufunc: Any, method: str, inputs: Any, options: Mapping[str, Any]
) -> Any:
    """Answer ``np.tanh(x)`` and the like."""
    name = FUNCTIONS.get(ufunc.__name__, ufunc.__name__)
    bitwise = ufunc.__name__.startswith(("bitwise", "invert")) and any(
        np.dtype(getattr(i, "dtype", type(i))).kind != "b" for i in inputs
    )
    if method != "__call__" or options or bitwise or name not in operators:
        written = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
        raise TracingError(
            "np.{written} cannot be traced{kind}. Use the functions of thalweg.numpy, "
            "without out= or where=.",
            written=written,
            kind=Phrase(" on integers") if bitwise else "",
        )
    return operators[name](*inputs)


def call_function(
    operators: Operators, func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]
) -> Any:
    """Answer ``np.sum(x, axis=0)`` and the like."""
    module, name = func.__module__, FUNCTIONS.get(func.__name__, func.__name__)
    known = module == "numpy" or (module, name) == ("numpy.linalg", "norm")
    if not known or name not in operators:
        raise TracingError(
            "{module}.{function} cannot be traced. thalweg.numpy lists what can.",
            module=module.replace("numpy", "np"),
            function=func.__name__,
        )
    positional, options = _as_named(func, args, kwargs)
    unknown = options.keys() - inspect.signature(operators[name]).parameters.keys()
    if unknown:
        raise TracingError(
            "np.{function} with {options}= cannot be traced: see thalweg.numpy.{name}.",
            function=func.__name__,
            options=", ".join(sorted(unknown)),
            name=name,
        )
    return operators[name](*positional, **options)


def _as_named(
    func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments NumPy requires by place, those it does not by name, defaults left out."""
    try:
        signature = inspect.signature(func)
    except ValueError:  # some functions written in C do not say
        return list(args), {ARGUMENTS.get(k, k): v for k, v in kwargs.items()}
    positional: list[Any] = []
    options: dict[str, Any] = {}
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            options.update(value)
        elif parameter.default is parameter.empty:
            positional.append(value)
        elif value is not parameter.default:
            options[ARGUMENTS.get(name, name)] = value
    return positional, options
