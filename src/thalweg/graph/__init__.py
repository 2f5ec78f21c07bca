"""The graph: immutable nodes, each an operation on earlier nodes, with a shape and a dtype.

A graph says *what* is computed, never how. Derivatives are graphs again, so whatever can be
done to a function (evaluate, print, compile, explain) can be done to its derivative.
"""

from thalweg.graph.graph import Graph, free_variables, rebuild, substitute, topological
from thalweg.graph.node import Node, as_node, constant, is_scalar_constant, scalar_value, variable
from thalweg.graph.primitive import PRIMITIVES, Primitive
from thalweg.graph.printing import expression, table

__all__ = [
    "PRIMITIVES",
    "Graph",
    "Node",
    "Primitive",
    "as_node",
    "constant",
    "expression",
    "free_variables",
    "is_scalar_constant",
    "rebuild",
    "scalar_value",
    "substitute",
    "table",
    "topological",
    "variable",
]
