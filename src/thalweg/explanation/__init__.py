"""Explanations: every step of the chain rule, with its numbers, in two languages.

`explain` takes any function with one number as its result, or a formula; `explain_network`
takes a network, its loss and a batch. Both return records (`records`), which the renderers
(`render`) write for the terminal, Markdown, LaTeX, HTML, JSON or as NumPy code, with the words of
a catalogue (`catalogue`). The numbers are those of the derivative that training uses.
"""

from thalweg.explanation.expression import explain
from thalweg.explanation.formula import Formula, parse_formula
from thalweg.explanation.network import NetworkExplanation, Setting, explain_network
from thalweg.explanation.records import Explanation

__all__ = [
    "Explanation",
    "Formula",
    "NetworkExplanation",
    "Setting",
    "explain",
    "explain_network",
    "parse_formula",
]
