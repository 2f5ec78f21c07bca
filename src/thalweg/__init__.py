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
    "AMSGrad": "optim.rules",
    "AdaGrad": "optim.rules",
    "Adam": "optim.rules",
    "AdamW": "optim.rules",
    "Adamax": "optim.rules",
    "Dense": "nn.network",
    "Design": "training.tabular",
    "GD": "optim.rules",
    "Lion": "optim.rules",
    "Loss": "nn.losses",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Model": "training.model",
    "Momentum": "optim.rules",
    "NAdam": "optim.rules",
    "Nesterov": "optim.rules",
    "Network": "nn.network",
    "Preparation": "training.predictors",
    "RMSProp": "optim.rules",
    "RProp": "optim.rules",
    "SGD": "optim.rules",
    "Training": "training.options",
    "binary_cross_entropy": "nn.losses",
    "check_gradients": "differentiation",
    "compare": "training.compare",
    "compile": "compiler.function",
    "concave": "training.constraints.asking",
    "convex": "training.constraints.asking",
    "cross_entropy": "nn.losses",
    "equality": "training.constraints.asking",
    "explain": "explanation",
    "explain_network": "training.explaining",
    "fit": "training.fit",
    "fit_table": "training.tabular",
    "fitnet": "estimators",
    "grad": "differentiation",
    "half_mse": "nn.losses",
    "hessian": "differentiation",
    "huber": "nn.losses",
    "hvp": "differentiation",
    "inequality": "training.constraints.asking",
    "jacobian": "differentiation",
    "jvp": "differentiation",
    "least_squares": "optim",
    "load": "training.model_file",
    "log_cosh": "nn.losses",
    "mae": "nn.losses",
    "maximize": "optim",
    "minimize": "optim",
    "monotone": "training.constraints.asking",
    "mse": "nn.losses",
    "nonnegative_weights": "training.constraints.asking",
    "numerical_gradient": "differentiation",
    "output_between": "training.constraints.asking",
    "parse_exercise": "training.explaining",
    "parse_formula": "explanation",
    "patternnet": "estimators",
    "performance": "nn.losses",
    "poisson": "nn.losses",
    "quantile": "nn.losses",
    "read_exercise": "training.explaining",
    "set_language": "language",
    "slope_at": "training.constraints.asking",
    "source": "numpy_source",
    "trace": "tracing",
    "value_and_grad": "differentiation",
    "value_at": "training.constraints.asking",
    "vjp": "differentiation",
    "vmap": "differentiation",
    "weights_between": "training.constraints.asking",
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
