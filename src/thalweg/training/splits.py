"""Training, validation and test rows: who learns, who says when to stop, who judges.

A split is three sorted arrays of row indices that share no row. Parts are counted by largest
remainder, so that 70/15/15 of 569 rows is 398, 86 and 85 and never adds up to 568. With classes,
every class is dealt out in the same shares, each to within one row; what one class rounds off is
carried to the next, so that the parts as a whole stay right as well.

Examples
--------
>>> split = split_rows(569, "70/15/15", seed=0)
>>> print(split)
398 training, 86 validation and 85 test rows (70/15/15, shuffled, seed 0)
>>> print(split_rows(100, "8:2"))
80 training and 20 test rows (8:2, shuffled, seed 0)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, OptionError
from thalweg.phrases import Phrase, joined

__all__ = [
    "PART_WORDS",
    "SMALLEST_SPLIT",
    "VALIDATION_GIVEN",
    "Split",
    "apportion",
    "made_again",
    "split_rows",
]

SMALLEST_SPLIT = 20
"""A table of fewer rows than this trains on all of them."""

Rows = NDArray[np.int64]
_PARTS = ("training", "validation", "test")
PART_WORDS = {
    "training": Phrase("training"),
    "validation": Phrase("validation"),
    "test": Phrase("test"),
}
_WAYS = (
    Phrase("in the table's order"),
    Phrase("whole groups"),
    Phrase("shuffled"),
    Phrase("shuffled within classes"),
    Phrase("all rows train"),
    Phrase("given rows"),
    Phrase("validation rows given"),
)
_IN_ORDER, _GROUPS, _SHUFFLED, _IN_CLASSES, _ALL, _GIVEN, VALIDATION_GIVEN = _WAYS
_FEW = 5


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows train, which validate and which test.

    Parameters
    ----------
    train, validation, test : array of int, shape (n_part,)
        Row indices from 0, ascending, without a row in common; only `train` is never empty.
    made : str
        How the split was made, in words.
    seed : int or None
        The seed, if chance had a part in it.
    notes : tuple of str
        What the user should know, such as classes too small to be divided.
    """

    train: Rows
    validation: Rows
    test: Rows
    made: str
    seed: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def phrase(self) -> Phrase:
        """The split in words, which can be said in every language."""
        counts = [
            Phrase("{count} {name}", count=len(rows), name=PART_WORDS[name])
            for name, rows in self.parts().items()
            if len(rows)
        ]
        head = joined(counts[:-1], "{left}, {right}") if len(counts) > 1 else None
        return Phrase(
            "{parts} rows ({made}{seed})",
            parts=counts[-1] if head is None else joined([head, counts[-1]]),
            made=self.made,
            seed="" if self.seed is None else Phrase(", seed {seed}", seed=self.seed),
        )

    def __str__(self) -> str:
        return str(self.phrase)

    def parts(self) -> dict[str, Rows]:
        """The three parts by name: training, validation, test."""
        return dict(zip(_PARTS, (self.train, self.validation, self.test), strict=True))


def split_rows(
    n: int,
    spec: str | Sequence[Any] = "70/15/15",
    seed: int = 0,
    *,
    stratify: Sequence[Any] | NDArray[Any] | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    validation: float = 0.0,
) -> Split:
    """Divide n rows into training, validation and test rows.

    Parameters
    ----------
    n : int
        Number of rows.
    spec : str or sequence of index arrays
        ``"70/15/15"`` (training/validation/test), ``"8:2"``, ``"7:3"``, ``"80/20"``
        (training/test), ``"none"`` (all rows train), ``"block"`` (70/15/15 in the order of the
        table, for time series) or ``"block:8:2"``, ``"group=column"`` (70/15/15 of whole groups),
        or two or three arrays of row indices (training, [validation,] test).
    seed : int, default 0
        Seed of the shuffle (NumPy's PCG64).
    stratify : sequence of shape (n,), optional
        Classes whose shares every part is to keep; a shuffled split uses them.
    groups : sequence of shape (n,), optional
        The group of each row, for ``"group=column"``: no group is divided. Larger groups are
        dealt out first, so the largest one trains.
    validation : float, default 0
        Share of the training rows to set aside for validation, where `spec` names no validation
        part: ``"8:2"`` with 0.15 gives 68/12/20. Early stopping needs one.

    Returns
    -------
    Split

    Raises
    ------
    OptionError
        If `spec` cannot be read or does not fit `n`.
    DataError
        If there are fewer groups than two.

    Examples
    --------
    >>> split_rows(6, ([0, 1, 2, 3], [4, 5])).test
    array([4, 5])
    >>> print(split_rows(100, "8:2", validation=0.15))
    68 training, 12 validation and 20 test rows (8:2, shuffled, seed 0)
    """
    if not isinstance(spec, str):
        return _given(n, spec)
    if n < 1 or seed < 0:
        raise OptionError(
            "a split needs at least 1 row and a seed from 0 (n={n}, seed={seed}).", n=n, seed=seed
        )
    kind, shares = _read_spec(spec, validation)
    if n < SMALLEST_SPLIT or shares[0] == 1:
        few = Phrase("fewer than {least} rows: all of them train", least=SMALLEST_SPLIT)
        return _split([np.arange(n)], _ALL, None, (few,) if shares[0] < 1 else ())
    generator = np.random.Generator(np.random.PCG64(seed))
    if kind == "block":
        parts = _cut(np.arange(n), apportion(n, shares))
        return _split(parts, _made(spec, _IN_ORDER), None, _without_rows(parts, shares))
    if kind == "group":
        if groups is None:
            raise OptionError("split {spec!r} needs the groups of the rows.", spec=spec)
        parts = _by_group(_codes(groups, n), shares, generator, spec)
        made = _made(spec, _GROUPS)
    elif stratify is None:
        parts = _cut(generator.permutation(n), apportion(n, shares))
        made = _made(spec, _SHUFFLED)
    else:
        parts, small = _by_class(_codes(stratify, n), shares, generator)
        return _split(parts, _made(spec, _IN_CLASSES), seed, small)
    return _split(parts, made, seed, _without_rows(parts, shares))


def apportion(n: int, shares: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
    """Divide n into whole parts by largest remainder; the first part is never empty.

    Examples
    --------
    >>> apportion(569, [0.7, 0.15, 0.15])
    array([398,  86,  85])
    """
    exact = n * np.asarray(shares, np.float64)
    return _rounded(n, exact, exact)


# --- reading the specification -------------------------------------------------------------------


def _made(spec: object, way: str) -> Phrase:
    return Phrase("{spec}, {way}", spec=str(spec), way=way)


def made_again(text: str) -> str:
    """How a split was made, from the English words for it."""
    spec, _, said = text.rpartition(", ")
    way = next((way for way in _WAYS if way == said), said)
    return _made(spec, way) if spec else way


def _read_spec(spec: str, validation: float) -> tuple[str, NDArray[np.float64]]:
    """The kind of split (shuffle, block, group) and the three shares, which add up to 1."""
    if not 0 <= validation < 1:
        raise OptionError(
            "validation={validation} is not a share of the training rows (0 to 1).",
            validation=validation,
        )
    kind, ratio = "shuffle", spec.strip()
    if ratio == "none":
        ratio = "1/0"
    elif ratio.startswith("group="):
        kind, ratio = "group", "70/15/15"
    elif ratio == "block" or ratio.startswith("block:"):
        kind, ratio = "block", ratio[len("block:") :] or "70/15/15"
    try:
        numbers = [float(part) for part in ratio.replace(":", "/").split("/")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(0 <= x < np.inf for x in numbers) or not numbers[0]:
        raise OptionError(
            "split {spec!r} is not known. Write 70/15/15, 8:2, none, block, block:8:2 or "
            "group=column; the training part comes first and is not 0.",
            spec=spec,
        )
    if validation and len(numbers) == 3:
        raise OptionError(
            "split {spec!r} names a validation part; leave validation= out.", spec=spec
        )
    if len(numbers) == 2:
        numbers = [numbers[0] * (1 - validation), numbers[0] * validation, numbers[1]]
    return kind, np.array(numbers) / sum(numbers)


def _given(n: int, parts: Sequence[Any]) -> Split:
    """A split of index arrays, once they are known to fit."""
    arrays = [np.atleast_1d(np.asarray(part)) for part in parts]
    if len(arrays) not in (2, 3) or any(a.ndim != 1 for a in arrays):
        raise OptionError("A given split is two or three lists of row indices: training first.")
    names = _PARTS if len(arrays) == 3 else _PARTS[::2]
    for name, array in zip(names, arrays, strict=True):
        if array.size and array.dtype.kind not in "iu":
            raise OptionError(
                "the {name} rows are not whole numbers but {dtype}.",
                name=PART_WORDS[name],
                dtype=array.dtype,
            )
        outside = array[(array < 0) | (array >= n)]
        if outside.size:
            raise OptionError(
                "the {name} rows name row index {row}; there are {n} rows.",
                name=PART_WORDS[name],
                row=outside[0],
                n=n,
            )
    if not arrays[0].size:
        raise OptionError("the training rows are empty.")
    values, counts = np.unique(np.concatenate(arrays).astype(np.int64), return_counts=True)
    if np.any(counts > 1):
        raise OptionError("row index {row} is named more than once.", row=values[counts > 1][0])
    if len(arrays) == 2:
        arrays.insert(1, np.empty(0, np.int64))
    return _split(arrays, _GIVEN)


# --- dealing out rows ----------------------------------------------------------------------------


def _rounded(n: int, exact: NDArray[np.float64], wanted: NDArray[np.float64]) -> Rows:
    """Round `exact` to whole parts of n, the spare rows going where `wanted` lacks most.

    Each part is rounded down or up, so it stays within one row of `exact`.
    """
    parts = np.floor(exact + 1e-9).astype(np.int64)
    lacking = np.where(exact > 0, wanted - parts, -np.inf)
    parts[np.argsort(-lacking, kind="stable")[: n - parts.sum()]] += 1
    if parts[0] == 0 and n > 0:
        parts[np.argmax(parts - exact)] -= 1
        parts[0] = 1
    return parts


def _cut(rows: Rows, counts: Rows) -> list[Rows]:
    """The first so many rows, the next so many, and so on."""
    return np.split(rows, np.cumsum(counts)[:-1])


def _without_rows(parts: Sequence[Rows], shares: NDArray[np.float64]) -> tuple[str, ...]:
    """A note for each part that was asked for and got nothing."""
    return tuple(
        Phrase("no rows are left for the {name} part", name=PART_WORDS[name])
        for name, rows, share in zip(_PARTS, parts, shares, strict=True)
        if share > 0 and not len(rows)
    )


def _codes(values: Sequence[Any] | NDArray[Any], n: int) -> tuple[list[Any], Rows]:
    """The different values in order, and for each row the index of its own."""
    array = np.asarray(values)
    if array.shape != (n,):
        raise OptionError(
            "one class or group per row is needed: {shape} for {n} rows.", shape=array.shape, n=n
        )
    if array.dtype == np.object_:
        array = np.array(["" if value is None else str(value) for value in array])
    names, codes = np.unique(array, return_inverse=True)
    return names.tolist(), codes


def _by_class(
    labels: tuple[list[Any], Rows], shares: NDArray[np.float64], generator: np.random.Generator
) -> tuple[list[Rows], tuple[str, ...]]:
    """Deal out every class in the same shares; what rounding takes is carried to the next."""
    dealt: list[list[Rows]] = []
    small = []
    carried = np.zeros(len(shares))
    for code, name in enumerate(labels[0]):
        rows = generator.permutation(np.flatnonzero(labels[1] == code))
        exact = len(rows) * shares
        counts = _rounded(len(rows), exact, exact + carried)
        carried += exact - counts
        dealt.append(_cut(rows, counts))
        if np.any((counts == 0) & (shares > 0)):
            reached = joined(PART_WORDS[part] for part in np.array(_PARTS)[counts > 0].tolist())
            small.append(
                Phrase(
                    "{name} ({rows}: {reached} only)",
                    name=_shown(name),
                    rows=len(rows),
                    reached=reached,
                )
            )
    parts = [np.concatenate(part) for part in zip(*dealt, strict=True)]
    if not small:
        return parts, ()
    names = joined(small[:_FEW], "{left}, {right}")
    if len(small) > _FEW:
        names = Phrase("{names}, ... ({count} in all)", names=names, count=len(small))
    return parts, (Phrase("classes with too few rows for every part: {names}", names=names),)


def _shown(name: Any) -> str:
    """A class as a person writes it: 3 rather than 3.0."""
    return str(int(name)) if isinstance(name, float) and name.is_integer() else repr(name)


def _by_group(
    groups: tuple[list[Any], Rows],
    shares: NDArray[np.float64],
    generator: np.random.Generator,
    spec: str,
) -> list[Rows]:
    """Give each whole group to the part that is furthest from its share, larger groups first."""
    names, codes = groups
    if len(names) < 2:
        raise DataError(
            "split {spec!r} finds one group only ({name!r}); it needs at least 2.",
            spec=spec,
            name=names[0],
        )
    sizes = np.bincount(codes)
    shuffled = generator.permutation(len(names))
    filled = np.zeros(len(shares))
    part_of = np.empty(len(names), np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        part_of[group] = np.argmin(filled / shares)
        filled[part_of[group]] += sizes[group]
    return [np.flatnonzero(part_of[codes] == part) for part in range(len(shares))]


def _split(
    parts: Sequence[NDArray[Any]], made: str, seed: int | None = None, notes: tuple[str, ...] = ()
) -> Split:
    padded = [*parts, *[np.empty(0)] * (3 - len(parts))]
    train, validation, test = (np.sort(np.asarray(part, np.int64)) for part in padded)
    return Split(train, validation, test, made, seed, notes)
