"""A trained network with all that belongs to it: what goes in, what comes out, how it came about.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> x = np.linspace(-1.0, 1.0, 80).reshape(-1, 1)
>>> net = tw.Network([tw.Dense(1, 8, "tanh"), tw.Dense(8, 1)])
>>> model = tw.fit(net, x, 3.0 * x[:, 0], epochs=200, learning_rate=0.01, engine="numpy")
>>> bool(abs(model.predict([[0.5]]) - 1.5) < 0.1)
True
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError, ShapeError, suggest
from thalweg.nn.losses import Loss
from thalweg.nn.network import Network, Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.blas import single_threaded_blas
from thalweg.optim.rules import GD
from thalweg.training.columns import Table
from thalweg.training.data import table_of_rows
from thalweg.training.encoding import Encoding
from thalweg.training.history import History
from thalweg.training.metrics import figures_of_classes, figures_of_numbers
from thalweg.training.program import Program
from thalweg.training.splits import Split
from thalweg.training.stopping import StopReason
from thalweg.training.tables import read_table
from thalweg.trees import map_leaves

if TYPE_CHECKING:
    from thalweg.training.constraints.report import ConstraintReport

__all__ = ["Model", "Origin"]

PART = 4096
"""Rows that are predicted at once: more would be several times slower, out of the cache."""

WIDE = 50_000
"""Parameters from which several threads pay for the products with so many rows."""


@dataclass(frozen=True)
class Origin:
    """How a model came about.

    Attributes
    ----------
    method : str
    settings : mapping
        Options in force: epochs, batch size, learning rate, penalties, engine, dtype, ...
    split : Split
    history : History
        Losses in the target's own unit where there is one.
    stop : StopReason
    kept_epoch : int
        The epoch after which the weights were as they are kept.
    figures : mapping of str to mapping of str to float
        Loss and metrics of the training, validation and test rows.
    notes : tuple of str
        What a user should know.
    constraints : ConstraintReport or None
        What the network was held to, and how well it holds.
    """

    method: str
    settings: Mapping[str, Any]
    split: Split
    history: History
    stop: StopReason
    kept_epoch: int
    figures: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...] = ()
    constraints: ConstraintReport | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network.

    Attributes
    ----------
    network : Network
    params : list of dict
        W and b of every layer; they see scaled inputs.
    loss : Loss
        As a person states it, in the target's own unit.
    encoding : Encoding
        Columns, scalings and classes.
    origin : Origin
    snapshots : mapping of str to list of dict
        Weights of other moments: ``"init"``, ``"epoch=5"``, ``"end"``.
    """

    network: Network
    params: Params
    loss: Loss
    encoding: Encoding
    origin: Origin
    snapshots: Mapping[str, Params] = field(default_factory=dict)

    # -- shortcuts -----------------------------------------------------------------------------
    @property
    def history(self) -> History:
        """Losses, gradient, learning rate and time of every epoch."""
        return self.origin.history

    @property
    def stop(self) -> StopReason:
        """Why training stopped; `str` of it is a sentence."""
        return self.origin.stop

    @property
    def split(self) -> Split:
        """Which rows trained, validated and tested."""
        return self.origin.split

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes in the order of `predict_proba`'s columns; None for quantities."""
        return None if self.encoding.classes is None else self.encoding.classes.values

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the weights."""
        found: np.dtype[Any] = self.params[0]["W"].dtype
        return found

    @property
    def constraints(self) -> ConstraintReport | None:
        """What the network was held to, and how well it holds; None without constraints."""
        return self.origin.constraints

    # -- predictions ---------------------------------------------------------------------------
    def inputs(self, X: Any) -> NDArray[Any]:
        """The scaled inputs of rows, shape (n, n[0]).

        Parameters
        ----------
        X : array-like of shape (n, columns), table, dataframe or path
            Columns of arrays are taken by their place, all others by their name.

        Raises
        ------
        ShapeError, DataError
            If they are not what the model was fitted on.
        """
        table = X if isinstance(X, Table) else table_of_rows(X, self.encoding)
        return self.encoding.inputs(table).astype(self.dtype)

    def targets(self, X: Any, y: Any = None, scaled: bool = True) -> NDArray[np.float64]:
        """The target matrix of rows, scaled as in training or not, shape (n, n[L])."""
        T = self.encoding.targets(self._target_table(X, y), scaled)
        return T[:, 1:] if T.shape[1] == 2 and self.network.outputs == 1 else T

    def _target_table(self, X: Any, y: Any) -> Table:
        if y is None:
            if isinstance(X, np.ndarray | list | tuple):
                raise OptionError("y is needed where X is an array; a table may hold both.")
            return read_table(X)
        values = np.asarray(y)
        names = self.encoding.names
        values = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
        if values.shape[1] != len(names):
            raise ShapeError(
                "y has {columns} columns, the model {targets} targets.",
                columns=values.shape[1],
                targets=len(names),
            )
        return read_table({name: values[:, i] for i, name in enumerate(names)})

    def outputs(self, X: Any, at: str = "end") -> NDArray[Any]:
        """The network's outputs as they come, scaled targets or probabilities, shape (n, n[L])."""
        parts, params = _parts(self.inputs(X)), self.at(at)
        narrow = self.network.count < WIDE
        with single_threaded_blas(seek=len(parts) > 1) if narrow else nullcontext():
            return np.concatenate([self.network(params, part) for part in parts])

    def predict(self, X: Any) -> NDArray[Any]:
        """Quantities in the target's own unit, or classes.

        Parameters
        ----------
        X : array-like of shape (n, columns), table, dataframe or path

        Returns
        -------
        array of shape (n,), or (n, targets) with several targets
        """
        columns = self.encoding.decode(self.outputs(X))
        found = [columns[name] for name in self.encoding.names]
        return found[0] if len(found) == 1 else np.column_stack(found)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of every class, shape (n, classes).

        Raises
        ------
        OptionError
            If the model predicts quantities, or its outputs are no probabilities.
        """
        if self.classes is None:
            raise OptionError("This model predicts quantities; use predict.")
        last = self.network.layers[-1].g
        if last.range != (0.0, 1.0):
            raise OptionError(
                "The outputs ({last}) are no probabilities; use outputs or predict.", last=last
            )
        Y = self.outputs(X)
        return np.hstack([1.0 - Y, Y]) if Y.shape[1] == 1 else Y

    def predict_std(self, X: Any, seen: Any, y: Any = None, **options: Any) -> NDArray[Any]:
        """Error bars of `predict`, from the training rows; of models of method ``"br"``.

        See `thalweg.training.bayesian.predictive_std`; options go there.
        """
        from thalweg.training.bayesian import predictive_std

        return predictive_std(self, X, seen, y, **options)

    # -- judgement -----------------------------------------------------------------------------
    def score(self, X: Any, y: Any = None) -> float:
        """Accuracy for classes, R² for quantities."""
        return self.evaluate(X, y)["r2" if self.classes is None else "accuracy"]

    def evaluate(self, X: Any, y: Any = None, weights: Any = None) -> dict[str, float]:
        """The loss, in the target's own unit, and the metrics of some rows.

        Parameters
        ----------
        X : array-like, table, dataframe or path
        y : array-like, optional
            Left out where X is a table that holds the targets.
        weights : array-like of shape (n,), optional

        Returns
        -------
        dict
            ``loss``, and ``accuracy`` or ``r2``, ``rmse``, ``mae``, ``r``.
        """
        T = self.targets(X, y)
        Y = self.outputs(X)
        w = np.ones(len(T)) if weights is None else np.asarray(weights, np.float64)
        if self.classes is None:
            undo = self.encoding.target_scaling.undo
            truth, guess = undo(T), undo(np.asarray(Y, np.float64))
            figures = figures_of_numbers(truth, guess, w)
            return {"loss": float(self.loss(guess, truth, w)), **figures}
        loss = self.loss.sign * self._joint_loss(self.inputs(X), T, w)
        decoded = self.encoding.decode(Y)[self.encoding.names[0]]
        truth = self.encoding.decode(T)[self.encoding.names[0]]
        return {"loss": loss, **figures_of_classes(truth, decoded, w)}

    def _joint_loss(self, rows: NDArray[Any], T: NDArray[Any], w: NDArray[np.float64]) -> float:
        """The loss as training sees it, where last activation and loss are taken together."""
        program = Program(NetworkObjective(self.network, self.loss), GD())
        parts = list(zip(_parts(rows), _parts(T), _parts(w), strict=True))
        losses = [program.loss(self.params, *part) for part in parts]
        shares = [float(np.sum(own)) for _, _, own in parts]
        total = sum(shares) or 1.0
        return sum(loss * (share / total) for loss, share in zip(losses, shares, strict=True))

    # -- other moments -------------------------------------------------------------------------
    def at(self, moment: str = "end") -> Params:
        """The weights at a moment: ``"end"``, ``"init"`` or ``"epoch=5"``.

        Raises
        ------
        OptionError
            If no snapshot was kept then.
        """
        if moment == "end":
            return self.params
        moment = "init" if moment == "epoch=0" else moment
        if moment not in self.snapshots:
            known = suggest(moment, [*self.snapshots, "end"])
            raise OptionError(
                "No weights were kept at {moment!r}.{known} Others are kept by fitting "
                "with snapshots=[0, 5, 'end'].",
                moment=moment,
                known=known,
            )
        return self.snapshots[moment]

    def explain(self, X: Any, y: Any = None, **options: Any) -> Any:
        """Every step of the chain rule on some rows, with the numbers that training uses.

        See `thalweg.explanation`; options go there. ``at="init"`` explains the first weights.
        """
        from thalweg.training.explaining import explain_model

        return explain_model(self, X, y, **options)

    def save(self, path: Any, force: bool = False) -> None:
        """Write the model to a file; an existing one only with `force`.

        Raises
        ------
        OptionError, ModelFileError
            If the file exists, or cannot be written.
        """
        from thalweg.training.model_file import save

        save(self, path, force)

    # -- as text -------------------------------------------------------------------------------
    def summary(self, lang: str | None = None) -> str:
        """What the model is and how it came about, in a few lines."""
        from thalweg.training.summary import summary

        return summary(self, lang)

    def __repr__(self) -> str:
        return f"Model({self.network!r}, {self.origin.method}, {_shown(self.origin.figures)})"

    def _repr_html_(self) -> str:
        import html

        from thalweg.training.summary import summary_rows

        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in summary_rows(self)
        )
        return f"<table>{rows}</table>"

    def equals(self, other: Model) -> bool:
        """Whether two models are the same bits."""
        same: list[bool] = []
        try:
            map_leaves(lambda a, b: same.append(_bits(a) == _bits(b)), self.params, other.params)
        except ShapeError:
            return False
        facts = [(m.network, m.loss, m.encoding, m.stop) for m in (self, other)]
        return all(same) and facts[0] == facts[1]


def _parts(rows: NDArray[Any]) -> list[NDArray[Any]]:
    """At least one; some rows each."""
    return [rows[start : start + PART] for start in range(0, max(len(rows), 1), PART)]


def _bits(array: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def _shown(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The most telling figure: of the rows least seen."""
    for part in ("test", "validation", "training"):
        for name in ("accuracy", "r2"):
            if name in figures.get(part, {}):
                return f"{part} {name} {figures[part][name]:.4g}"
    return "no figures"
