"""The chain rule, from graph to graph.

`chain_rule` walks a graph backwards once (reverse mode) or forwards (forward mode);
`transforms` makes functions of it: `grad`, `vjp`, `jvp`, `jacobian`, `hessian`, ...;
`batching` applies a graph along a sample axis (`vmap`); `checking` holds exact derivatives
against numerical ones.
"""

from thalweg.differentiation.batching import vmap
from thalweg.differentiation.chain_rule import Derivation, Edge, backward, forward
from thalweg.differentiation.checking import (
    GradientCheck,
    check_gradients,
    numerical_gradient,
)
from thalweg.differentiation.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

__all__ = [
    "Derivation",
    "Edge",
    "GradientCheck",
    "backward",
    "check_gradients",
    "forward",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "numerical_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]
