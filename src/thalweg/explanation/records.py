"""Step records: what an explanation says, before anything is written.

An explanation is a title, sections, and in each section steps. A step has one name (∂f/∂w), one
formula (∂f/∂g · ∂g/∂w), the numbers put into it (1 · 5) and one value (5), which may be an
array. Everything a person reads is a `Sentence`: a key of the catalogue with its values, so that
one record serves every language; formulas are trees (`thalweg.explanation.notation`), so that
one record serves every renderer.

Numbers can be opened: a step carries the `Term` s whose products add up to its value, or a
`Recipe` from which the terms of any entry of a matrix can be had.

Examples
--------
>>> from thalweg.explanation import explain
>>> record = explain("w*x + b")(w=-2.0, x=5.0, b=3.0)
>>> [section.kind for section in record.sections]
['forward', 'backward', 'result']
>>> slope = record.step("∂f/∂w")
>>> slope.value, str(slope.formula), str(slope.numbers)
(array(5.), '∂f/∂g · ∂g/∂w', '1 · 5')
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError, ShapeError, suggest
from thalweg.explanation.notation import Math, symbol, text
from thalweg.language import known_language, tr

__all__ = [
    "VERSION",
    "Explanation",
    "Factor",
    "Picture",
    "PictureEdge",
    "PictureNode",
    "Recipe",
    "Section",
    "Sentence",
    "Step",
    "Term",
]

VERSION = 1
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sentence:
    """A sentence of the catalogue with its values.

    Attributes
    ----------
    key : str
        Without the room: ``"sensitivity"``.
    values : mapping
        Text, numbers, formulas, other sentences, or text by language.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def say(self, lang: str | None = None) -> str:
        """The sentence in a language.

        Examples
        --------
        >>> Sentence("layer_hidden", {"layer": 1}).say("en")
        'hidden layer 1'
        """
        return tr(f"explanation.{self.key}", lang, **_spoken(self.values, lang))


def _spoken(values: Mapping[str, Any], lang: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Sentence):
            said[name] = value.say(lang)
        elif isinstance(value, Mapping):
            said[name] = value.get(known_language(lang)) or next(iter(value.values()), "")
        elif isinstance(value, Math):
            said[name] = text(value)
        elif isinstance(value, float):
            from thalweg.explanation.notation import digits

            said[name] = digits(value)
        else:
            said[name] = value
    return said


@dataclass(frozen=True)
class Factor:
    """A number and what it is called."""

    name: Math
    value: float


@dataclass(frozen=True)
class Term:
    """A product of named numbers; the terms of a step add up to its value."""

    factors: tuple[Factor, ...]
    via: str = ""

    @property
    def value(self) -> float:
        """The product."""
        return math.prod(f.value for f in self.factors)


@dataclass(frozen=True)
class Recipe:
    """How the entries of a matrix come from those of other steps.

    Attributes
    ----------
    kind : {"matmul", "affine", "hadamard", "rowsum", "subtract"}
        ``left @ right`` (over `divisor`), ``left @ right + plus``, ``left * right``, the sum of
        each row of `left` (over `divisor`), ``left - right``.
    left, right, plus : str
        Identifiers of steps in the same explanation.
    left_transposed, right_transposed : bool
    divisor : float
    weights : str
        A step of one row by which each term of a product is multiplied.
    """

    kind: str
    left: str
    right: str = ""
    plus: str = ""
    left_transposed: bool = False
    right_transposed: bool = False
    divisor: float = 1.0
    weights: str = ""


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the chain.

    Attributes
    ----------
    role : str
        ``value``, ``local``, ``upstream``, ``contribution``, ``global``, ``common``, ``update``,
        ...: a key of the catalogue (``role_local``).
    name : Math
        What is computed.
    formula : Math or None
        How.
    numbers : Math or None
        The formula with numbers in it, where they are few.
    value : array
        A number has no axes; matrices have samples as columns.
    terms : tuple of Term
    recipe : Recipe or None
    notes : tuple of Sentence
    estimate : array or None
        The central difference, of the value's shape.
    place : Sentence or None
        Where in the network, in words: ``hidden 2 ← input 1``.
    rows : tuple of str
        What the rows of a matrix are, where they have names: columns of a table.
    """

    role: str
    name: Math
    value: Array
    formula: Math | None = None
    numbers: Math | None = None
    terms: tuple[Term, ...] = ()
    recipe: Recipe | None = None
    notes: tuple[Sentence, ...] = ()
    estimate: Array | None = None
    place: Sentence | None = None
    rows: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name as text."""
        return text(self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the value."""
        return self.value.shape


@dataclass(frozen=True, eq=False)
class Section:
    """Steps that belong together, under a heading.

    Attributes
    ----------
    kind : str
        ``forward``, ``backward``, ``loss``, ``neuron``, ``layer``, ``update``, ``health``, ...
    title : Sentence
    steps : tuple of Step
    notes : tuple of Sentence
        Read after the steps.
    focus : tuple of str
        Identifiers of the picture's nodes that this section is about.
    """

    kind: str
    title: Sentence
    steps: tuple[Step, ...] = ()
    notes: tuple[Sentence, ...] = ()
    focus: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureNode:
    """A circle of the picture: a neuron, or a value of a computation graph.

    Attributes
    ----------
    id : str
    label : Math
    kind : {"input", "hidden", "output", "operation", "gap"}
        A gap stands for the neurons that are left out.
    column, row : float
        Where it is drawn.
    value, derivative : float or None
    caption : str
        The name of a column of a table; empty where there is none.
    """

    id: str
    label: Math
    kind: str
    column: float
    row: float
    value: float | None = None
    derivative: float | None = None
    caption: str = ""


@dataclass(frozen=True)
class PictureEdge:
    """A line of the picture: a weight, or a use of a value.

    Attributes
    ----------
    source, target : str
    label : Math
        The weight, or the local derivative.
    value, derivative : float or None
        Of the weight; for a use, the local derivative and the contribution.
    """

    source: str
    target: str
    label: Math
    value: float | None = None
    derivative: float | None = None


@dataclass(frozen=True)
class Picture:
    """The network or the computation graph, laid out in columns."""

    kind: str
    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What is said about one function or network at one point.

    Attributes
    ----------
    kind : {"expression", "neuron", "walk", "layers", "entry", "update", "network", "report"}
    title : Sentence
    sections : tuple of Section
    picture : Picture or None
    version : int
        Of the schema.
    """

    kind: str
    title: Sentence
    sections: tuple[Section, ...]
    picture: Picture | None = None
    version: int = VERSION

    def steps(self) -> Iterator[Step]:
        """All steps, in order."""
        for section in self.sections:
            yield from section.steps

    def step(self, name: str) -> Step:
        """The last step of a name (a sum comes after its contributions).

        Raises
        ------
        OptionError
            If there is none; the nearest name is suggested.
        """
        found = {step.id: step for step in self.steps()}
        if name not in found:
            raise OptionError(
                "no step is called {name!r}.{hint}", name=name, hint=suggest(name, found)
            )
        return found[name]

    def open(self, name: str, row: int = 1, column: int = 1) -> tuple[Term, ...]:
        """The terms that add up to an entry of a step, rows and columns counted from 1.

        Raises
        ------
        ShapeError
            If the step has no such entry.
        """
        return self.terms_of(self.step(name), row, column)

    def terms_of(self, step: Step, row: int = 1, column: int = 1) -> tuple[Term, ...]:
        """The terms that add up to an entry of a step of this explanation."""
        if step.terms:
            return step.terms
        if step.recipe is None:
            return (Term((Factor(step.name, float(_cell(step, row, column))),)),)
        _cell(step, row, column)
        return tuple(_terms(self, step.recipe, row, column))

    # -- writing ----------------------------------------------------------------------------------
    def write(self, form: str = "terminal", lang: str | None = None, **options: Any) -> str:
        """Write the explanation.

        Parameters
        ----------
        form : {"terminal", "markdown", "latex", "html", "json", "source"}
        lang : {"en", "ko"}, optional
        **options
            Of the renderer: ``width`` of the terminal, for example.

        Returns
        -------
        str
        """
        from thalweg.explanation.render import render

        return render(self, form, lang, **options)

    def __str__(self) -> str:
        return self.write("terminal")

    def _repr_html_(self) -> str:
        return self.write("html", fragment=True)

    def with_estimates(self, estimates: Mapping[str, Array]) -> Explanation:
        """The explanation with central differences beside some of its steps."""
        sections = tuple(
            replace(
                section,
                steps=tuple(
                    replace(s, estimate=estimates[s.id]) if s.id in estimates else s
                    for s in section.steps
                ),
            )
            for section in self.sections
        )
        return replace(self, sections=sections)


def _cell(step: Step, row: int, column: int) -> Any:
    matrix = np.atleast_2d(step.value.T).T if step.value.ndim == 1 else np.atleast_2d(step.value)
    rows, columns = matrix.shape
    if not (1 <= row <= rows and 1 <= column <= columns):
        raise ShapeError(
            "{id} has {rows} rows and {columns} columns, counted from 1: no entry "
            "({row}, {column})",
            id=step.id,
            rows=rows,
            columns=columns,
            row=row,
            column=column,
        )
    return matrix[row - 1, column - 1]


def _terms(explanation: Explanation, recipe: Recipe, row: int, column: int) -> Iterator[Term]:
    left = explanation.step(recipe.left)
    if recipe.kind == "rowsum":
        for s in range(1, left.value.shape[1] + 1):
            yield Term((_factor(left, row, s, False), *_share(explanation, recipe, s)))
        return
    right = explanation.step(recipe.right)
    if recipe.kind == "hadamard":
        yield Term((_factor(left, row, column, False), _factor(right, row, column, False)))
        return
    if recipe.kind == "subtract":
        taken = _factor(right, row, column, False)
        yield Term((_factor(left, row, column, False),))
        yield Term((Factor(Math("negative", (taken.name,)), -taken.value),))
        return
    inner = left.value.shape[0 if recipe.left_transposed else 1]
    for k in range(1, inner + 1):
        first = _factor(left, row, k, recipe.left_transposed)
        second = _factor(right, k, column, recipe.right_transposed)
        yield Term((first, second, *_share(explanation, recipe, k)))
    if recipe.plus:
        plus = explanation.step(recipe.plus)
        yield Term((_factor(plus, row, min(column, plus.value.shape[1]), False),))


def _share(explanation: Explanation, recipe: Recipe, sample: int) -> list[Factor]:
    """What part of the mean a sample is."""
    if recipe.weights:
        return [_factor(explanation.step(recipe.weights), 1, sample, False)]
    return [Factor(symbol("1/m"), 1.0 / recipe.divisor)] if recipe.divisor != 1.0 else []


def _factor(step: Step, row: int, column: int, transposed: bool) -> Factor:
    place = (column, row) if transposed else (row, column)
    return Factor(entry_name(step.name, *place), float(_cell(step, *place)))


def entry_name(matrix: Math, *place: int) -> Math:
    """The name of an entry: ``W[2]`` becomes ``W[2]₁,₃``, ``∂a/∂z`` becomes ``∂a₁/∂z₃``."""
    if matrix.head == "symbol":
        return symbol(matrix.parts[0], *place)
    if matrix.head == "partial" and len(place) == len(matrix.parts):
        ends = zip(matrix.parts, place, strict=True)
        return Math("partial", tuple(entry_name(part, index) for part, index in ends))
    return Math("entry", (matrix, *place))


def product(terms: Sequence[Term]) -> float:
    """What the terms add up to."""
    return math.fsum(term.value for term in terms)
