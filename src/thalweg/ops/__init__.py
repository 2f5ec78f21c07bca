"""The primitive operations, one record each, by family.

To add one, write a record in the file of its kind and a row in the compiler's table of
lowerings; derivatives, batching, printing and the tests of all of these follow from it.
"""

from thalweg.graph import PRIMITIVES
from thalweg.ops import elementwise, indexing, linalg, reduction, shape
from thalweg.ops.families import Elementwise, Linear, Reduction

__all__ = [
    "PRIMITIVES",
    "Elementwise",
    "Linear",
    "Reduction",
    "elementwise",
    "indexing",
    "linalg",
    "reduction",
    "shape",
]
