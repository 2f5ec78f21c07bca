"""The options of all commands, each stated once; texts are keys of the catalogue.

An option's help is the sentence ``option_<name>``, its panel one of ``panel_...``.
"""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

__all__: list[str] = []

PANELS = (
    "panel_data",
    "panel_network",
    "panel_training",
    "panel_view",
    "panel_worksheet",
    "panel_output",
)
"""In the order that ``--help`` shows them."""


def _option(name: str, panel: str, *flags: str, metavar: str = "") -> Any:
    """One option: ``_option("split", "data")`` is ``--split`` in the panel of data."""
    names = flags or ("--" + name.replace("_", "-"),)
    return Option(
        *names,
        help=f"option_{name}",
        rich_help_panel=f"panel_{panel}",
        metavar=metavar,
        show_default=False,
    )


# -- what goes in ----------------------------------------------------------------------------------
DataPath = Annotated[str, Argument(help="argument_data", show_default=False)]
ModelPath = Annotated[str, Argument(help="argument_model", show_default=False)]
AnyPath = Annotated[str, Argument(help="argument_file", show_default=False)]
Things = Annotated[
    list[str] | None,
    Argument(help="argument_things", metavar="MODEL [DATA] [NAME=VALUE]", show_default=False),
]

Target = Annotated[
    list[str], _option("target", "data", "--target", "-t", metavar="COLUMN")
]  # repeated for several targets
Task = Annotated[str | None, _option("task", "data", metavar="KIND")]
Without = Annotated[list[str] | None, _option("without", "data", metavar="COLUMN")]
Categorical = Annotated[list[str] | None, _option("categorical", "data", metavar="COLUMN")]
Missing = Annotated[str, _option("missing", "data", metavar="HOW")]
Unknown = Annotated[str, _option("unknown", "data", metavar="HOW")]
Scale = Annotated[str, _option("scale", "data", metavar="HOW")]
SampleWeight = Annotated[str | None, _option("sample_weight", "data", metavar="COLUMN")]
ClassWeight = Annotated[str | None, _option("class_weight", "data", metavar="WEIGHTS")]
Split = Annotated[str, _option("split", "data", metavar="SHARES")]
Delimiter = Annotated[str | None, _option("delimiter", "data", metavar="CHAR")]
Seed = Annotated[int, _option("seed", "data", metavar="NUMBER")]

# -- the network -----------------------------------------------------------------------------------
Hidden = Annotated[str | None, _option("hidden", "network", metavar="SIZES")]
Activation = Annotated[str | None, _option("activation", "network", metavar="NAME")]
Loss = Annotated[str | None, _option("loss", "network", metavar="NAME")]
L1 = Annotated[float, _option("l1", "network", metavar="NUMBER")]
L2 = Annotated[float | None, _option("l2", "network", metavar="NUMBER")]
ComparedHidden = Annotated[
    str | None, _option("compared_hidden", "network", "--hidden", metavar="SIZES")
]
ComparedActivation = Annotated[
    str | None, _option("compared_activation", "network", "--activation", metavar="NAME")
]
ComparedL2 = Annotated[float | None, _option("compared_l2", "network", "--l2", metavar="NUMBER")]

Monotone = Annotated[str | None, _option("monotone", "network", metavar="±COLUMNS")]
Convex = Annotated[str | None, _option("convex", "network", metavar="±COLUMNS")]
BoundOutput = Annotated[str | None, _option("bound_output", "network", metavar="LOW,HIGH")]
WeightsNonnegative = Annotated[bool, _option("weights_nonnegative", "network")]

# -- training --------------------------------------------------------------------------------------
MethodName = Annotated[str | None, _option("method", "training", "--method", "-m", metavar="NAME")]
Methods = Annotated[str | None, _option("methods", "training", "--methods", "-m", metavar="NAMES")]
Epochs = Annotated[int | None, _option("epochs", "training", metavar="NUMBER")]
BatchSize = Annotated[int | None, _option("batch_size", "training", metavar="ROWS")]
LearningRate = Annotated[float | None, _option("learning_rate", "training", metavar="NUMBER")]
Schedule = Annotated[str, _option("schedule", "training", metavar="NAME")]
Patience = Annotated[int | None, _option("patience", "training", metavar="EPOCHS")]
Goal = Annotated[float | None, _option("goal", "training", metavar="LOSS")]
TimeLimit = Annotated[float | None, _option("time_limit", "training", metavar="SECONDS")]
Mu = Annotated[float | None, _option("mu", "training", metavar="NUMBER")]
MuDec = Annotated[float | None, _option("mu_dec", "training", metavar="NUMBER")]
MuInc = Annotated[float | None, _option("mu_inc", "training", metavar="NUMBER")]
MuMax = Annotated[float | None, _option("mu_max", "training", metavar="NUMBER")]
Restarts = Annotated[int, _option("restarts", "training", metavar="NUMBER")]
Snapshots = Annotated[str | None, _option("snapshots", "training", metavar="EPOCHS")]
ComparedTimeLimit = Annotated[
    float | None, _option("compared_time_limit", "training", "--time-limit", metavar="SECONDS")
]
ComparedPatience = Annotated[
    int | None, _option("compared_patience", "training", "--patience", metavar="EPOCHS")
]
Engine = Annotated[str, _option("engine", "training", metavar="NAME")]

# -- what comes out --------------------------------------------------------------------------------
ModelOutput = Annotated[
    str | None, _option("model_output", "output", "--output", "-o", metavar="FILE")
]
TableOutput = Annotated[
    str | None, _option("table_output", "output", "--output", "-o", metavar="FILE")
]
TextOutput = Annotated[
    str | None, _option("text_output", "output", "--output", "-o", metavar="FILE")
]
Plot = Annotated[str | None, _option("plot", "output", metavar="FILE")]
Force = Annotated[bool, _option("force", "output", "--force", "-f")]
Json = Annotated[bool, _option("json", "output", "--json")]
Quiet = Annotated[bool, _option("quiet", "output", "--quiet", "-q")]
Lang = Annotated[str | None, _option("lang", "output", metavar="en|ko")]
Probabilities = Annotated[bool, _option("probabilities", "output", "--probabilities", "-p")]
Append = Annotated[bool, _option("append", "output", "--append", "-a")]

# -- explanations and checks -----------------------------------------------------------------------
Row = Annotated[str | None, _option("row", "view", "--row", "-r", metavar="ROWS")]
Sample = Annotated[int | None, _option("sample", "view", "--sample", "-s", metavar="NUMBER")]
FormulaText = Annotated[str | None, _option("formula", "view", metavar="TEXT")]
Neuron = Annotated[str | None, _option("neuron", "view", "--neuron", "-n", metavar="NAME")]
View = Annotated[str | None, _option("view", "view", metavar="NAME")]
Entry = Annotated[str | None, _option("entry", "view", metavar="ENTRY")]
At = Annotated[str | None, _option("at", "view", metavar="MOMENT")]
Updates = Annotated[int | None, _option("updates", "view", metavar="NUMBER")]
WithCheck = Annotated[bool, _option("with_check", "view", "--check")]
TakeApart = Annotated[bool, _option("take_apart", "view", "--take-apart")]
Form = Annotated[str | None, _option("form", "output", "--form", metavar="NAME")]
Worksheet = Annotated[bool, _option("worksheet", "worksheet", "--worksheet", "-w")]
Blanks = Annotated[int | None, _option("blanks", "worksheet", metavar="NUMBER")]
SheetSeed = Annotated[int | None, _option("sheet_seed", "worksheet", "--seed", metavar="NUMBER")]
Key = Annotated[bool, _option("key", "worksheet", "--key")]
Answers = Annotated[str | None, _option("answers", "worksheet", metavar="FILE")]
Tolerance = Annotated[float, _option("tolerance", "view", metavar="NUMBER")]
