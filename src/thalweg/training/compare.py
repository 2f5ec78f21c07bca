"""A race of methods: from the same first weights, on the same rows, to the same objective.

What is told of each: when its training loss passed a few marks, how many iterations it took, how
much memory, and how good what it found is on training, validation and test rows.

The marks divide the way from the first loss to the one that half of the methods reached into equal
parts on a logarithmic scale; the last is the lowest of all. Each method runs one iteration
beforehand, so that none pays for native code that the next one finds made. A batch method's loss is
that before its last step, as in every `History`.

Examples
--------
>>> import numpy as np
>>> x = np.linspace(-2.0, 2.0, 120)
>>> table = {"x": x, "y": np.sin(2.0 * x)}
>>> race = compare(table, "y", methods=["adam", "lm"], epochs=30, engine="numpy")
>>> [entry.method for entry in race.entries]
['adam', 'lm']
>>> race.entries[1].loss < race.entries[0].loss
True
>>> [len(entry.marks) for entry in race.entries]
[4, 4]
"""

from __future__ import annotations

import ctypes
import gc
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from thalweg.errors import CompilerError, DivergedError, OptionError
from thalweg.nn.network import Params
from thalweg.training.constraints.kinds import Constraint
from thalweg.training.data import Data
from thalweg.training.encoding import Preparation
from thalweg.training.fit import Recipe, default_l2, train
from thalweg.training.methods import Method, method_under_constraints
from thalweg.training.methods import method as find_method
from thalweg.training.model import Model
from thalweg.training.tabular import Design, recipe, refuse_misplaced, table_data

__all__ = ["CONSTRAINED_METHODS", "DEFAULT_METHODS", "Comparison", "Entry", "compare"]

DEFAULT_METHODS = ("adam", "rprop", "scg", "cg", "lbfgs", "bfgs", "lm")
CONSTRAINED_METHODS = ("adam", "scg", "lbfgs", "lm", "interior-point")
"""Under constraints, where the others work inside the augmented Lagrangian."""
MARKS = 4
INF = float("inf")


@dataclass(frozen=True)
class Entry:
    """How one method did.

    Attributes
    ----------
    method : str
    model : Model or None
        What it found; None where it cannot train this network.
    failure : str
        Why not.
    seconds : float
        From the beginning to the end, with everything.
    memory : int or None
        Bytes beyond those in use before, at the peak; None where the system does not tell.
    marks : tuple of float or None
        Seconds until the training loss had fallen to each mark; None where it never did.
    """

    method: str
    model: Model | None = None
    failure: str = ""
    seconds: float = math.nan
    memory: int | None = None
    marks: tuple[float | None, ...] = ()

    @property
    def loss(self) -> float:
        """The lowest training loss."""
        return float(np.min(self.losses, initial=INF))

    @property
    def losses(self) -> Any:
        """The training loss of every iteration, as it is minimised, shape (iterations,)."""
        if self.model is None:
            return np.zeros(0)
        return self.model.loss.sign * self.model.history["training_loss"]

    @property
    def violation(self) -> float | None:
        """The largest violation of the constraints; None without any."""
        held = None if self.model is None else self.model.constraints
        return None if held is None else held.worst

    @property
    def iterations(self) -> int:
        """Epochs of a first-order method, iterations of a solver."""
        return 0 if self.model is None else len(self.model.history)

    def reached(self, mark: float) -> float | None:
        """Seconds until the training loss was `mark` or less."""
        if self.model is None:
            return None
        below = np.flatnonzero(self.losses <= mark)
        return float(self.model.history["seconds"][below[0]]) if len(below) else None

    def to_json(self) -> dict[str, Any]:
        """The record for other programs."""
        record = {
            "method": self.method,
            "failure": self.failure or None,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "peak_memory": self.memory,
            "seconds_to_marks": list(self.marks),
        }
        if self.model is None:
            return record
        history = self.model.history
        return {
            **record,
            "stop": self.model.stop.kind,
            "violation": self.violation,
            "figures": {p: dict(found) for p, found in self.model.origin.figures.items()},
            "history": {name: history[name].tolist() for name in ("training_loss", "seconds")},
        }


@dataclass(frozen=True)
class Comparison:
    """The outcome of a race.

    Attributes
    ----------
    entries : tuple of Entry
        In the order in which the methods were named.
    marks : tuple of float
        Training losses, in the target's own unit, from large to small.
    data : Data
    """

    entries: tuple[Entry, ...]
    marks: tuple[float, ...]
    data: Data = field(repr=False)

    def __getitem__(self, method: str) -> Entry:
        """The entry of a method."""
        for entry in self.entries:
            if entry.method == method:
                return entry
        raise OptionError(
            "{method!r} is not among {names}.",
            method=method,
            names=", ".join(e.method for e in self.entries),
        )

    def to_json(self) -> dict[str, Any]:
        """The record for other programs."""
        return {"marks": list(self.marks), "methods": [e.to_json() for e in self.entries]}

    def plot(self, path: str | Path) -> None:
        """Draw the training loss against time and against iterations into a PNG, SVG or PDF.

        Raises
        ------
        OptionError
            If matplotlib is not installed, or the file's ending is not known.
        """
        from thalweg.training.compare_plot import draw

        draw(self, path)


def compare(
    source: Any,
    target: str | Sequence[str],
    *,
    methods: Iterable[str] | None = None,
    task: str | None = None,
    design: Design | None = None,
    constraints: Sequence[Constraint] = (),
    split: str | Sequence[Any] = "70/15/15",
    seed: int = 0,
    preparation: Preparation | None = None,
    sample_weight: str | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    engine: str = "auto",
    params: Params | None = None,
    **options: Any,
) -> Comparison:
    """Race methods on a table.

    Parameters
    ----------
    source : path, Table, dataframe, mapping of arrays
    target : str or sequence of str
    methods : iterable of str, optional
        `DEFAULT_METHODS`, or with constraints `CONSTRAINED_METHODS`.
    task : {"regression", "classification"}, optional
    design : Design, optional
        Network and objective of all methods: ``Design(network=net)`` for one of your own. By
        default one layer of 10 tanh neurons, and no penalty but that of `thalweg.fit` under
        constraints.
    constraints : sequence of Constraint
        What every method holds the network to, as in `thalweg.fit`.
    split, seed, preparation, sample_weight, class_weight, engine
        As in `thalweg.fit_table`.
    params : list of dict, optional
        Weights to start from; drawn with `seed` by default, the same for all methods.
    **options
        Fields of `Training`, for all methods: ``epochs``, ``time_limit``, ``patience``, ... What
        is not given is left to each method.

    Returns
    -------
    Comparison

    Raises
    ------
    OptionError, DataError
        If there is no such method or option, or the table cannot be learned from. A method that
        cannot train this network is an entry that says so, not an error.
    """
    refuse_misplaced(options)
    if methods is None:
        methods = CONSTRAINED_METHODS if constraints else DEFAULT_METHODS
    chosen = [_chosen(name, constraints) for name in dict.fromkeys(methods)]
    if not chosen:
        raise OptionError("There is nothing to compare: name methods, such as adam,lm.")
    data = table_data(
        source,
        target,
        task=task,
        split=split,
        seed=seed,
        preparation=preparation,
        sample_weight=sample_weight,
        class_weight=class_weight,
    )
    shared = design or Design()
    shared = replace(shared, l2=default_l2(constraints) if shared.l2 is None else shared.l2)
    first = recipe(data, shared, find_method("lm"), seed, engine, options)
    shared = replace(shared, network=first.network)
    entries: list[Entry] = []
    for one in chosen:
        plan = recipe(data, shared, one, seed, engine, options)
        plan = replace(plan, params=params, constraints=tuple(constraints))
        entries.append(_raced(_own_name(one), data, plan))
        model = entries[-1].model
        if model is not None and model.stop.kind == "interrupted":
            break
    return _judged(entries, data)


def _chosen(name: str, constraints: Sequence[Constraint]) -> Method:
    """The method of a name; with constraints as large networks have it, which name no default."""
    return method_under_constraints(name, 0) if constraints else find_method(name)


def _own_name(method: Method) -> str:
    """What it was called: that of a method inside the augmented Lagrangian is in brackets."""
    return method.name.removeprefix("augmented-lagrangian(").removesuffix(")")


def _raced(name: str, data: Data, plan: Recipe) -> Entry:
    """One method's run, with its time and memory; after one iteration that is not counted."""
    first = replace(plan.options, epochs=min(1, plan.options.epochs or 1), callbacks=())
    try:
        train(data, replace(plan, options=first))
        began = time.perf_counter()
        with _peak_memory() as peak:
            model = train(data, plan)
    except (OptionError, DivergedError, CompilerError) as error:
        return Entry(name, failure=error.phrase)
    return Entry(name, model, "", time.perf_counter() - began, peak[0])


def _judged(entries: Sequence[Entry], data: Data) -> Comparison:
    """The marks, and when they were passed."""
    marks = _marks(entries)
    timed = [replace(e, marks=tuple(e.reached(mark) for mark in marks)) for e in entries]
    return Comparison(tuple(timed), marks, data)


def _marks(entries: Sequence[Entry]) -> tuple[float, ...]:
    """Losses between the highest first one and the lowest of all, rounded up to two digits."""
    ran = [e.losses for e in entries if len(e.losses)]
    if not ran:
        return ()
    high, lowest = max(losses[0] for losses in ran), sorted(np.min(losses) for losses in ran)
    low, half = lowest[0], lowest[len(lowest) // 2]
    if not np.isfinite([high, low]).all() or low >= high:
        return ()
    if low <= 0.0:
        return tuple(float(high + (low - high) * k / MARKS) for k in range(1, MARKS + 1))
    marks = (*_parts(high, half, MARKS - 1), _rounded_up(low))
    falling = half < high and marks[-1] < marks[-2]
    return marks if falling else _parts(high, low, MARKS)


def _parts(high: float, low: float, count: int) -> tuple[float, ...]:
    """The ends of equal parts of the way down, on a logarithmic scale."""
    return tuple(_rounded_up(high * (low / high) ** (k / count)) for k in range(1, count + 1))


def _rounded_up(value: float) -> float:
    """To two digits, and never below.

    Examples
    --------
    >>> _rounded_up(0.01234), _rounded_up(0.5)
    (0.013, 0.5)
    """
    near = float(f"{value:.1e}")
    return near if near >= value else float(f"{value + 0.5 * 10 ** _digit(value):.1e}")


def _digit(value: float) -> int:
    return math.floor(math.log10(value)) - 1


# -- memory ----------------------------------------------------------------------------------------
STATEMENT = Path("/proc/self/statm")
EVERY = 0.005


@contextmanager
def _peak_memory() -> Iterator[list[int | None]]:
    """A list that holds, afterwards, the most bytes in use beyond those before.

    The process's resident memory is looked at every few milliseconds, so that native code counts;
    memory that was set free before is first given back, so that its use counts, too.
    """
    found: list[int | None] = []
    _give_back()
    before = _resident()
    if before is None:
        yield found
        found.append(None)
        return
    done, seen = Event(), [before]

    def watch() -> None:
        while not done.wait(EVERY):
            seen.append(max(seen.pop(), _resident() or 0))

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found.append(max(seen[0], _resident() or 0) - before)


def _give_back() -> None:
    """Free memory to the operating system, where the C library is asked for it (glibc)."""
    gc.collect()
    if STATEMENT.exists():
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _resident() -> int | None:
    """Bytes of this process in memory, where Linux tells."""
    try:
        import resource

        pages = int(STATEMENT.read_text().split()[1])
    except (OSError, ImportError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
