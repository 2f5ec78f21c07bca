"""From a table to a model with defaults that need no choice: what the command line runs.

The defaults of first-order methods, and why:

* one hidden layer of SiLU neurons, twice as many as inputs but at least 16 and at most 100: one
  layer suffices for a table's columns, the size of the network grows with theirs, and what it
  learns is smooth;
* Adam with batches of 32 rows, which is insensitive to the scale of the problem, at 0.01 for
  quantities and 0.003 for classes;
* a penalty λ/2 ΣW² that is a normal prior on the weights, whose pull on the mean loss is τ/n with n
  training rows: the fewer the rows, the more it tells. τ = 3 for classes. For quantities the mean
  square is 2σ² times a likelihood, with σ² the share of the target's variance that is noise, so
  that a tenth as much is right (0.3/n). A table too small to be divided is to be learned as it
  is, without a penalty;
* early stopping on the validation rows: the weights kept are those of the lowest validation loss,
  and training ends when it has not been lowered for 20 epochs and 500 steps.

Solvers follow MATLAB's ``fitnet``: 10 tanh neurons, drawn by Nguyen and Widrow's rule, no penalty.

Quantities are fitted by least squares with an identity output, two classes by one sigmoid and
binary cross entropy, more classes by softmax and cross entropy.

Examples
--------
>>> import numpy as np
>>> x = np.linspace(-2.0, 2.0, 100)
>>> model = fit_table({"x": x, "y": np.sin(x)}, "y", engine="numpy", epochs=100)
>>> model.network
Network 1 → 16 silu → 1 identity (49 parameters)
>>> bool(model.origin.figures["test"]["r2"] > 0.95)
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from thalweg.errors import OptionError, suggest
from thalweg.nn.losses import Loss
from thalweg.nn.losses import loss as find_loss
from thalweg.nn.network import Network, dense_network
from thalweg.nn.objective import Penalty
from thalweg.optim.rules import Rule
from thalweg.training.batches import default_batch_size
from thalweg.training.data import Data, Purpose, from_table
from thalweg.training.encoding import Preparation
from thalweg.training.fit import Recipe, default_l2, method_for, train
from thalweg.training.labels import decide_task
from thalweg.training.methods import Method, method_under_constraints
from thalweg.training.methods import method as find_method
from thalweg.training.model import Model
from thalweg.training.options import Training, training_options
from thalweg.training.program import batch_count
from thalweg.training.splits import SMALLEST_SPLIT
from thalweg.training.tables import read_table

if TYPE_CHECKING:
    from thalweg.training.constraints.kinds import Constraint

__all__ = ["Design", "fit_table", "recipe", "refuse_misplaced", "table_data"]

FEWEST, MOST = 16, 100
SOLVER_NEURONS = 10
RATES = {"regression": 0.01, "classification": 0.003}
PRIORS = {"regression": 0.3, "classification": 3.0}
PATIENCE, STEPS_OF_PATIENCE = 20, 500
EPOCHS, STEPS, MOST_EPOCHS = 500, 10_000, 5000

TASKS = ("regression", "classification")


@dataclass(frozen=True)
class Design:
    """The network and the objective for a table; None means the default.

    Parameters
    ----------
    hidden : sequence of int, optional
        Neurons of the hidden layers.
    activation : str, optional
        Of the hidden layers.
    loss : str or Loss, optional
    l1, l2 : float, optional
        Penalties; l2 by default as the module says.
    network : Network, optional
        A whole network, in place of hidden layers and activation.
    """

    hidden: Sequence[int] | None = None
    activation: str | None = None
    loss: str | Loss | None = None
    l1: float = 0.0
    l2: float | None = None
    network: Network | None = None


def fit_table(
    source: Any,
    target: str | Sequence[str],
    *,
    task: str | None = None,
    design: Design | None = None,
    method: str | Rule | Method | None = None,
    constraints: Sequence[Constraint] = (),
    restarts: int = 1,
    split: str | Sequence[Any] = "70/15/15",
    seed: int = 0,
    preparation: Preparation | None = None,
    sample_weight: str | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    engine: str = "auto",
    **options: Any,
) -> Model:
    """Train a network on a table.

    Parameters
    ----------
    source : path, Table, dataframe, mapping of arrays
    target : str or sequence of str
        Columns to predict; all others are inputs.
    task : {"regression", "classification"}, optional
        By default what the target column looks like (`thalweg.training.labels.decide_task`).
    design : Design, optional
    method : str, Rule or Method, optional
        ``"adam"`` by default; with constraints as in `thalweg.fit`.
    constraints, restarts
        As in `thalweg.fit`.
    split : str or sequence of index arrays
        ``"70/15/15"``, ``"8:2"``, ``"none"``, ``"block"``, ``"group=column"``; a split without a
        validation part sets 15 % of its training rows aside for early stopping.
    seed : int
    preparation : Preparation, optional
        Missing values, categories, scaling.
    sample_weight : str, optional
        The column that holds the weight of each row; it is no input.
    class_weight : mapping of class to float, or "balanced", optional
        How much rows of each class count; ``"balanced"`` counts all classes alike.
    engine : {"auto", "numpy", "native"}
    **options
        Fields of `thalweg.training.options.Training`.

    Returns
    -------
    Model
        ``model.origin.notes`` begins with the sentence that says why it is a regression or a
        classification.

    Raises
    ------
    DataError
        If the table cannot be learned from.
    OptionError
        If an option is not known.
    """
    refuse_misplaced(options)
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
    stated = design or Design()
    if constraints and stated.l2 is None:
        stated = replace(stated, l2=default_l2(constraints))
    chosen = method_under_constraints(method, 0) if constraints else find_method(method or "adam")
    plan = recipe(data, stated, chosen, seed, engine, options)
    return train(
        data,
        replace(
            plan,
            method=method_for(method, constraints, plan.network),
            constraints=tuple(constraints),
            restarts=restarts,
        ),
    )


def refuse_misplaced(options: Mapping[str, Any]) -> None:
    """Say where an option belongs that is none of training's, before any table is read.

    Raises
    ------
    OptionError

    Examples
    --------
    >>> refuse_misplaced({"missing": "drop"})
    Traceback (most recent call last):
    ...
    thalweg.errors.OptionError: missing belongs to the preparation: write
    preparation=tw.Preparation(missing='drop').
    """
    homes = {"preparation": Preparation, "design": Design}
    for name, value in options.items():
        for home, record in homes.items():
            if name in {field.name for field in fields(record)}:
                raise OptionError(
                    "{name} belongs to the {home}: write {home}=tw.{record}({name}={value!r}).",
                    name=name,
                    home=home,
                    record=record.__name__,
                    value=value,
                )
    training_options(options)


def table_data(
    source: Any,
    target: str | Sequence[str],
    *,
    task: str | None = None,
    split: str | Sequence[Any] = "70/15/15",
    seed: int = 0,
    preparation: Preparation | None = None,
    sample_weight: str | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
) -> Data:
    """The samples of a table, encoded and divided; see `fit_table`.

    Raises
    ------
    DataError, OptionError
        As `fit_table`.
    """
    table = read_table(source)
    names = (target,) if isinstance(target, str) else tuple(target)
    sentence = ""
    if task is None:
        task, sentence = ("regression", "") if len(names) > 1 else decide_task(table[names[0]])
    if task not in TASKS:
        raise OptionError("There is no task {task!r}.{hint}", task=task, hint=suggest(task, TASKS))
    preparation = preparation or Preparation()
    groups = split[len("group=") :] if str(split).startswith("group=") else None
    purpose = Purpose(split, seed=seed, scale=preparation.scaling, class_weight=class_weight)
    how = {"preparation": preparation, "groups": groups, "weights": sample_weight}
    data = from_table(table, names, purpose, task=task, **how)
    return replace(data, notes=tuple(note for note in (sentence, *data.notes) if note))


def recipe(
    data: Data, design: Design, method: Method, seed: int, engine: str, options: dict[str, Any]
) -> Recipe:
    """What is trained on a table's samples, with the defaults of the method."""
    network, loss = _network(data, design, method)
    task, rows = data.encoding.task, len(data.split.train)
    l2 = design.l2
    if l2 is None:
        free = method.rule is None or len(data.X) < SMALLEST_SPLIT
        l2 = 0.0 if free else PRIORS[task] / rows
    training = training_options(options)
    if method.name == "adam" and training.learning_rate is None:
        training = replace(training, learning_rate=RATES[task])
    if not method.full_batch:
        training = _measured_in_steps(training, rows, len(data.split.validation) > 0)
    return Recipe(network, loss, method, Penalty(design.l1, l2), training, seed, engine=engine)


def _measured_in_steps(training: Training, rows: int, validated: bool) -> Training:
    """Epochs and patience for small tables too, whose epochs are only a few steps."""
    steps = batch_count(rows, training.batch_size or default_batch_size(rows))
    if training.epochs is None:
        training = replace(training, epochs=min(MOST_EPOCHS, max(EPOCHS, STEPS // steps)))
    if training.patience is None and validated:
        training = replace(training, patience=max(PATIENCE, STEPS_OF_PATIENCE // steps))
    return training


def _network(data: Data, design: Design, method: Method) -> tuple[Network, Loss]:
    """The network and the loss for the kind of target."""
    inputs, outputs = data.X.shape[1], data.T.shape[1]
    if data.encoding.classes is None:
        last, loss = "identity", "mse"
    elif outputs == 2:
        last, loss, outputs = "sigmoid", "binary_cross_entropy", 1
    else:
        last, loss = "softmax", "cross_entropy"
    found = find_loss(design.loss or loss)
    if design.network is not None:
        return design.network, found
    if method.rule is None:
        neurons, activation, drawn = SOLVER_NEURONS, "tanh", "nguyen_widrow"
    else:
        neurons, activation = min(MOST, max(FEWEST, 2 * inputs)), "silu"
        drawn = "fan_in_uniform"
    hidden = [neurons] if design.hidden is None else design.hidden
    activation = design.activation or activation
    return dense_network(inputs, hidden, outputs, activation, last, drawn), found
