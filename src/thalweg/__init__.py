"""thalweg: train neural networks by the chain rule, and see every derivative that was used.

Everything public is a name of this package and loaded when it is first used, so that
``import thalweg`` costs next to nothing.

Examples
--------
>>> import thalweg as tw
>>> tw.grad(lambda w: (2.0 * w - 1.0) ** 2)(3.0)
np.float64(20.0)
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Dense": "nn.network",
    "Model": "training.model",
    "Network": "nn.network",
    "Training": "training.options",
    "check_gradients": "differentiation",
    "compile": "compiler.function",
    "explain": "explanation",
    "explain_network": "explanation",
    "fit": "training.fit",
    "grad": "differentiation",
    "hessian": "differentiation",
    "hvp": "differentiation",
    "jacobian": "differentiation",
    "jvp": "differentiation",
    "least_squares": "optim",
    "maximize": "optim",
    "minimize": "optim",
    "numerical_gradient": "differentiation",
    "parse_formula": "explanation",
    "source": "numpy_source",
    "trace": "tracing",
    "value_and_grad": "differentiation",
    "vjp": "differentiation",
    "vmap": "differentiation",
}

_MODULES = ("errors", "numpy")

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"thalweg.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"thalweg.{name}")
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
