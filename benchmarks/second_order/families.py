"""The libraries that take part, and where their sides are."""

from importlib import import_module
from importlib.util import find_spec

from benchmarks.second_order.sides import Side

__all__ = ["FAMILIES", "all_sides"]

FAMILIES = {
    "thalweg": "thalweg_sides",
    "scipy": "scipy_sides",
    "jax": "jax_sides",
    "pyrenn": "pyrenn_side",
    "torch": "torch_sides",
}


def all_sides(families: list[str]) -> list[Side]:
    """The sides of the libraries that are here; the others are not imported."""
    return [
        side
        for family, module in FAMILIES.items()
        if family in families and find_spec(family)
        for side in import_module(f"benchmarks.second_order.{module}").sides()
    ]
