"""What each command can be asked for: one record a command, whose fields are its options.

`app` makes the options of ``thalweg fit`` from the fields of `Fit`, and hands a `Fit` to the
function that trains; a new option is one field here and its sentence in the catalogues.

Examples
--------
>>> Predict(model="m.thalweg", data="new.csv").append
False
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.cli import options as o

__all__ = ["Check", "Compare", "Explain", "Fit", "Info", "Order", "Predict", "Training"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What every command is asked."""

    lang: o.Lang = None


@dataclass(frozen=True, kw_only=True)
class Training(Order):
    """What `Fit` and `Compare` share: a table, its rows, and how long to train."""

    data: o.DataPath
    target: o.Target
    task: o.Task = None
    without: o.Without = None
    categorical: o.Categorical = None
    missing: o.Missing = "refuse"
    scale: o.Scale = "standard"
    sample_weight: o.SampleWeight = None
    class_weight: o.ClassWeight = None
    split: o.Split = "70/15/15"
    delimiter: o.Delimiter = None
    seed: o.Seed = 0
    loss: o.Loss = None
    epochs: o.Epochs = None
    engine: o.Engine = "auto"
    force: o.Force = False
    json: o.Json = False
    quiet: o.Quiet = False


@dataclass(frozen=True, kw_only=True)
class Fit(Training):
    """Train a network on a table."""

    unknown: o.Unknown = "refuse"
    hidden: o.Hidden = None
    activation: o.Activation = None
    l1: o.L1 = 0.0
    l2: o.L2 = None
    monotone: o.Monotone = None
    convex: o.Convex = None
    bound_output: o.BoundOutput = None
    weights_nonnegative: o.WeightsNonnegative = False
    method: o.MethodName = None
    batch_size: o.BatchSize = None
    learning_rate: o.LearningRate = None
    schedule: o.Schedule = "constant"
    patience: o.Patience = None
    goal: o.Goal = None
    time_limit: o.TimeLimit = None
    restarts: o.Restarts = 1
    mu: o.Mu = None
    mu_dec: o.MuDec = None
    mu_inc: o.MuInc = None
    mu_max: o.MuMax = None
    snapshots: o.Snapshots = None
    output: o.ModelOutput = None


@dataclass(frozen=True, kw_only=True)
class Compare(Training):
    """Race methods of training on a table."""

    hidden: o.ComparedHidden = None
    activation: o.ComparedActivation = None
    l2: o.ComparedL2 = None
    monotone: o.Monotone = None
    convex: o.Convex = None
    bound_output: o.BoundOutput = None
    weights_nonnegative: o.WeightsNonnegative = False
    methods: o.Methods = None
    patience: o.ComparedPatience = None
    time_limit: o.ComparedTimeLimit = None
    plot: o.Plot = None


@dataclass(frozen=True, kw_only=True)
class Predict(Order):
    """Predict the targets of a table's rows."""

    model: o.ModelPath
    data: o.DataPath
    delimiter: o.Delimiter = None
    output: o.TableOutput = None
    probabilities: o.Probabilities = False
    append: o.Append = False
    force: o.Force = False
    json: o.Json = False
    quiet: o.Quiet = False


@dataclass(frozen=True, kw_only=True)
class Explain(Order):
    """Show every derivative of a model on some rows, of an exercise, or of a formula."""

    things: o.Things = None
    row: o.Row = None
    sample: o.Sample = None
    neuron: o.Neuron = None
    view: o.View = None
    entry: o.Entry = None
    at: o.At = None
    updates: o.Updates = None
    formula: o.FormulaText = None
    take_apart: o.TakeApart = False
    check: o.WithCheck = False
    worksheet: o.Worksheet = False
    blanks: o.Blanks = None
    seed: o.SheetSeed = None
    key: o.Key = False
    answers: o.Answers = None
    form: o.Form = None
    output: o.TextOutput = None
    force: o.Force = False


@dataclass(frozen=True, kw_only=True)
class Check(Order):
    """Hold exact derivatives against central differences."""

    things: o.Things = None
    row: o.Row = None
    at: o.At = None
    formula: o.FormulaText = None
    tolerance: o.Tolerance = 1e-6
    json: o.Json = False


@dataclass(frozen=True, kw_only=True)
class Info(Order):
    """Say what is in a model file or a table."""

    file: o.AnyPath
    delimiter: o.Delimiter = None
    json: o.Json = False
