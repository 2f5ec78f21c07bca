"""Fitting: samples and a network in, a trained model out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from thalweg.errors import DifferentiationError, DivergedError, OptionError, ShapeError
from thalweg.nn.losses import Loss
from thalweg.nn.losses import loss as find_loss
from thalweg.nn.network import Network, Params
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import Rule
from thalweg.phrases import Phrase
from thalweg.training.data import Data, Purpose, from_arrays
from thalweg.training.loop import Outcome, Task
from thalweg.training.methods import Method, method_under_constraints, settle
from thalweg.training.methods import method as find_method
from thalweg.training.model import Model, Origin
from thalweg.training.options import Training, training_options
from thalweg.training.restarts import best_start
from thalweg.training.scaling import Scaling
from thalweg.training.units import inside, unit_sizes

if TYPE_CHECKING:
    from thalweg.training.constraints.kinds import Constraint

__all__ = ["Recipe", "fit", "train"]

INF = float("inf")


@dataclass(frozen=True)
class Recipe:
    """What is trained and how, once the samples are there.

    Parameters
    ----------
    network : Network
    loss : Loss
    method : Method
    penalty : Penalty
    options : Training
    seed : int
        Of the first weights and of the order of the rows.
    dtype : float64 or float32
    engine : {"auto", "numpy", "native"}
    params : list of dict, optional
        Where to start instead of drawn weights.
    constraints : sequence of Constraint
        What the network is held to.
    restarts : int
        How many starts, of which the best is kept.
    """

    network: Network
    loss: Loss
    method: Method
    penalty: Penalty = field(default=Penalty())
    options: Training = field(default=Training())
    seed: int = 0
    dtype: DTypeLike = np.float64
    engine: str = "auto"
    params: Params | None = None
    constraints: Sequence[Constraint] = ()
    restarts: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.restarts, bool) or not isinstance(self.restarts, int):
            raise OptionError("restarts={found!r} is not a whole number.", found=self.restarts)
        if self.restarts < 1:
            raise OptionError("restarts={found} is not a number from 1.", found=self.restarts)
        if self.restarts > 1 and self.params is not None:
            raise OptionError("params are where one run starts: leave out params or restarts.")


def fit(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | None = None,
    method: str | Rule | Method | None = None,
    constraints: Sequence[Constraint] = (),
    restarts: int = 1,
    split: str | Sequence[Any] = "70/15/15",
    validation: tuple[Any, Any] | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[Any, float] | str | None = None,
    scale: str = "standard",
    scale_targets: str | None = None,
    l1: float = 0.0,
    l2: float | None = None,
    seed: int = 0,
    dtype: DTypeLike | None = None,
    engine: str = "auto",
    params: Params | None = None,
    training: Training | None = None,
    **options: Any,
) -> Model:
    """Train a network on samples.

    Parameters
    ----------
    network : Network
    X : array-like of shape (n, n[0]), or a dataframe
        Rows are samples.
    y : array-like of shape (n,) or (n, n[L])
        Quantities, classes (for cross entropies, or where they are texts or true/false), or
        probabilities, one column for each output.
    loss : str or Loss, optional
        By default what suits the last activation: ``"cross_entropy"`` for softmax,
        ``"binary_cross_entropy"`` for a sigmoid and targets from 0 to 1, otherwise ``"mse"``.
    method : str, Rule or Method, optional
        ``"adam"`` by default. With constraints ``"interior-point"`` up to 1000 parameters, else
        ``"augmented-lagrangian"``; any other (``"lm"``, ``"lbfgs"``, ``"adam"``, ..., not
        ``"br"``) is then put to work inside the augmented Lagrangian.
    constraints : sequence of Constraint, optional
        What the network is held to: ``[tw.monotone("age"), tw.output_between(0, 1)]``, in the
        units of inputs and targets; see `thalweg.training.constraints.asking`. How well they hold
        is in ``model.constraints``. Where there are validation rows, the best weights among those
        that hold all constraints are kept.
    restarts : int
        Train from so many first weights, drawn with seed, seed + 1, ..., and keep the model of the
        lowest validation loss (training loss, without validation rows).
    split : str or sequence of index arrays
        ``"70/15/15"`` for training, validation and test rows; ``"none"`` trains on all of them, as
        tables of fewer than 20 rows do anyway.
    validation : tuple of (X, y), optional
        Validation samples of their own; then all of X trains.
    sample_weight : array-like of shape (n,), optional
        A weight of 2 counts like the row written twice.
    class_weight : mapping or "balanced", optional
    scale : {"standard", "minmax", "none"}
        Scaling of the inputs, inside the model.
    scale_targets : {"standard", "minmax", "none"}, optional
        Scaling of the targets, inside the model. By default as `scale` where the last activation
        is unbounded and the loss measures distances, otherwise none.
    l1, l2 : float
        Penalties λ₁ Σ|W| + λ₂/2 Σ W², on the scaled loss. λ₂ is 0 by default, with constraints
        1e-4: without any, weights may run away to squeeze steep steps in between the points at
        which constraints are looked at.
    seed : int
        Of the split, the first weights and the order of rows: the same seed gives the same bits.
    dtype : float64 or float32, optional
        float32 if X is and the method is a first-order one, otherwise float64.
    engine : {"auto", "numpy", "native"}
        Native code by default where it can be made.
    params : list of dict, optional
        Weights to start from, instead of drawn ones.
    training : Training, optional
    **options
        Fields of `Training`: ``epochs=500``, ``batch_size=32``, ``learning_rate=0.01``,
        ``schedule="cosine"``, ``patience=20``, ``goal=1e-6``, ``time_limit=60``, ...

    Returns
    -------
    Model

    Raises
    ------
    OptionError, ShapeError, DataError
        If something does not fit; the message says what and what to do.
    DifferentiationError
        If gradients cannot train the network, for example through a step function.
    DivergedError
        If the numbers grew beyond all bounds before anything was learned.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> net = tw.Network([tw.Dense(2, 4, "tanh"), tw.Dense(4, 1, "sigmoid")])
    >>> model = tw.fit(net, X, [0, 1, 1, 0], learning_rate=0.1, engine="numpy", seed=1)
    >>> model.predict(X)
    array([0, 1, 1, 0])
    """
    chosen = _loss_for(network, y) if loss is None else find_loss(loss)
    purpose = Purpose(
        split,
        validation,
        seed,
        scale,
        scale_targets or _target_scale(network, chosen, scale),
        _classes(chosen, y),
        sample_weight,
        class_weight,
    )
    data = from_arrays(X, y, purpose)
    chosen_method = method_for(method, constraints, network)
    recipe = Recipe(
        network,
        chosen,
        chosen_method,
        Penalty(l1, default_l2(constraints) if l2 is None else l2),
        training_options(options, training),
        seed,
        _dtype(X, chosen_method, constraints) if dtype is None else dtype,
        engine,
        params,
        tuple(constraints),
        restarts,
    )
    return train(data, recipe)


def method_for(
    method: str | Rule | Method | None, constraints: Sequence[Constraint], network: Network
) -> Method:
    """The method that is meant, or what suits where none is named."""
    if constraints:
        return method_under_constraints(method, network.count)
    return find_method("adam" if method is None else method)


def default_l2(constraints: Sequence[Constraint]) -> float:
    """The penalty on squares of weights where none is named; see `fit`."""
    return 1e-4 if constraints else 0.0


def _loss_for(network: Network, y: Any) -> Loss:
    """The loss that suits the last activation and the targets."""
    name = network.layers[-1].g.name
    values = np.asarray(y)
    labels = values.dtype.kind not in "fiu"
    if name == "softmax":
        return find_loss("cross_entropy")
    if name == "sigmoid" and (labels or (values.min() >= 0 and values.max() <= 1)):
        return find_loss("binary_cross_entropy")
    return find_loss("mse")


def _target_scale(network: Network, loss: Loss, scale: str) -> str:
    unbounded = network.layers[-1].g.range == (-INF, INF)
    return scale if unbounded and loss.degree is not None else "none"


def _classes(loss: Loss, y: Any) -> bool | None:
    """Whether targets are classes; None leaves it to their type."""
    values = np.asarray(y)
    one_column = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
    if loss.classes and one_column:
        whole = values.dtype.kind != "f" or bool(np.all(np.mod(values, 1.0) == 0))
        return True if whole else None
    return False if loss.classes else None


def _dtype(X: Any, method: Method, constraints: Sequence[Constraint]) -> np.dtype[Any]:
    """That of X, where the method can work in it."""
    single = getattr(X, "dtype", None) == np.float32 and not _exact(method, constraints)
    return np.dtype(np.float32 if single else np.float64)


def _exact(method: Method, constraints: Sequence[Constraint]) -> bool:
    """Whether it works in float64 only."""
    return method.rule is None or bool(constraints)


# -- from samples to a model --------------------------------------------------------------------
def train(data: Data, recipe: Recipe) -> Model:
    """Train a network on samples that are encoded and divided already.

    Parameters
    ----------
    data : Data
    recipe : Recipe

    Returns
    -------
    Model

    Raises
    ------
    ShapeError, DifferentiationError, DivergedError
        See `fit`.
    """
    data = _fitting(data, recipe.network)
    if recipe.network.untrainable:
        raise DifferentiationError(
            "This network cannot be trained: {untrainable}", untrainable=recipe.network.untrainable
        )
    if recipe.restarts > 1:
        return best_start(
            data.split, recipe.seed, recipe.restarts, lambda seed: train(data, _at(recipe, seed))
        )
    task = settle(recipe.method, _task(data, recipe))
    outcome = recipe.method.run(task)
    if outcome.stop.kind == "diverged" and outcome.kept_epoch == 0:
        raise DivergedError("Nothing was learned. {stop}", stop=outcome.stop)
    return _model(data, recipe, task, outcome)


def _at(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, seed=seed, restarts=1)


def _fitting(data: Data, network: Network) -> Data:
    """The data, once its columns are those of the network; one sigmoid serves two classes."""
    if data.X.shape[1] != network.inputs:
        names = ", ".join(data.encoding.features[:8])
        raise ShapeError(
            "the network takes {inputs} inputs, but the samples have {columns} ({names}{more}).",
            inputs=network.inputs,
            columns=data.X.shape[1],
            names=names,
            more=Phrase(", ...") if data.X.shape[1] > 8 else "",
        )
    outputs = data.T.shape[1]
    if data.encoding.classes is not None and outputs == 2 and network.outputs == 1:
        return replace(data, T=data.T[:, 1:])
    if outputs != network.outputs:
        what = Phrase("classes") if data.encoding.classes is not None else Phrase("target columns")
        raise ShapeError(
            "the network has {found} outputs, but there are {outputs} {what}: write "
            "Dense({inputs}, {outputs}) as its last layer.",
            found=network.outputs,
            outputs=outputs,
            what=what,
            inputs=network.layers[-1].inputs,
        )
    return data


def _task(data: Data, recipe: Recipe) -> Task:
    dtype = np.dtype(recipe.dtype)
    if dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise OptionError("dtype {dtype} is not float64 or float32.", dtype=dtype)
    if dtype != np.float64 and _exact(recipe.method, recipe.constraints):
        raise OptionError("{method} works in float64: leave out dtype.", method=recipe.method.name)
    scaling, width = data.encoding.target_scaling, data.T.shape[1]
    loss, unit = inside(recipe.loss, scaling, width)
    train = data.samples("training", dtype)
    truth = scaling.undo(train.T.astype(np.float64))

    def own_loss(params: Params) -> float:
        Y = recipe.network(params, train.X).astype(np.float64)
        return float(recipe.loss(scaling.undo(Y), truth, train.weights))

    checked = data.samples("validation", dtype)
    start = recipe.params or recipe.network.initial(recipe.seed, dtype)
    recipe.network.check(start)
    return Task(
        NetworkObjective(recipe.network, loss, recipe.penalty),
        start,
        train,
        checked if len(checked.X) else None,
        recipe.options,
        seed=recipe.seed,
        dtype=dtype,
        engine=recipe.engine,
        unit=unit,
        own_loss=own_loss if _mixed_units(recipe.loss, scaling, width) else None,
        constraints=_bound(data, recipe),
    )


def _bound(data: Data, recipe: Recipe) -> Any:
    """The constraints on this network and its table."""
    if not recipe.constraints:
        return None
    from thalweg.training.constraints.bound import ConstraintSet
    from thalweg.training.constraints.frame import Frame

    frame = Frame.of(data, recipe.network)
    return ConstraintSet(frame, recipe.constraints, recipe.params is not None)


def _mixed_units(loss: Loss, scaling: Scaling, width: int) -> bool:
    """Whether no single factor turns the scaled loss into the target's own unit."""
    return loss.degree is not None and len(set(unit_sizes(scaling, width))) > 1


def _model(data: Data, recipe: Recipe, task: Task, outcome: Outcome) -> Model:
    options = task.options
    settings = {
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "schedule": str(options.schedule),
        "patience": options.patience,
        "l1": recipe.penalty.l1,
        "l2": recipe.penalty.l2,
        "seed": recipe.seed,
        "engine": outcome.engine,
        "dtype": str(task.dtype),
        "rule": None if task.rule is None else asdict(task.rule),
        "unit": task.unit,
    }
    if options.damped:
        settings["damping"] = {name: getattr(options, name) for name in options.damped}
    origin = Origin(
        recipe.method.name,
        settings,
        data.split,
        outcome.history,
        outcome.stop,
        outcome.kept_epoch,
        {},
        data.notes,
        outcome.constraints,
    )
    model = Model(
        recipe.network, outcome.params, recipe.loss, data.encoding, origin, outcome.snapshots
    )
    figures = {
        part: model.evaluate(data.table.take(rows), weights=data.weights[rows])
        for part, rows in data.split.parts().items()
        if len(rows) and data.weights[rows].any()
    }
    return replace(model, origin=replace(origin, figures=figures))
