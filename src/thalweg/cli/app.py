"""The commands and their options; what they do is in the file of each command's name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from thalweg.cli import options as o
from thalweg.cli.failures import failures
from thalweg.cli.localise import checked_language, localise
from thalweg.cli.screen import Screen

__all__ = ["command"]

app = typer.Typer(
    name="thalweg",
    help="help_thalweg",
    epilog="epilog_thalweg",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def command(lang: str) -> Any:
    """The click command ``thalweg`` with its help in a language."""
    return localise(typer.main.get_command(app), lang)


def _version(wanted: bool) -> None:
    if wanted:
        import thalweg

        print(f"thalweg {thalweg.__version__}")
        raise typer.Exit


@app.callback()
def _thalweg(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="option_version", metavar="", callback=_version, is_eager=True
        ),
    ] = False,
    lang: Annotated[str | None, typer.Option(help="option_lang", metavar="en|ko")] = None,
) -> None: ...


def _screen(lang: str | None, quiet: bool = False) -> Screen:
    """Where to write; a language that is not spoken is an error in the one that is."""
    screen = Screen("en", quiet)
    with failures(screen):
        screen.lang = checked_language(lang)
    return screen


@app.command(help="help_fit", epilog="epilog_fit", rich_help_panel="panel_commands")
def fit(
    data: o.DataPath,
    target: o.Target,
    task: o.Task = None,
    without: o.Without = None,
    categorical: o.Categorical = None,
    missing: o.Missing = "refuse",
    unknown: o.Unknown = "refuse",
    scale: o.Scale = "standard",
    split: o.Split = "70/15/15",
    delimiter: o.Delimiter = None,
    seed: o.Seed = 0,
    hidden: o.Hidden = None,
    activation: o.Activation = None,
    loss: o.Loss = None,
    l1: o.L1 = 0.0,
    l2: o.L2 = None,
    method: o.MethodName = "adam",
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    learning_rate: o.LearningRate = None,
    schedule: o.Schedule = "constant",
    patience: o.Patience = None,
    goal: o.Goal = None,
    time_limit: o.TimeLimit = None,
    snapshots: o.Snapshots = None,
    engine: o.Engine = "auto",
    output: o.ModelOutput = None,
    force: o.Force = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    lang: o.Lang = None,
) -> None:
    """Train a network on a table."""
    given = locals()
    screen = _screen(lang, quiet)
    with failures(screen):
        from thalweg.cli.fit import Order, run

        run(screen, Order(**{name: given[name] for name in Order.__dataclass_fields__}))


@app.command(help="help_compare", epilog="epilog_compare", rich_help_panel="panel_commands")
def compare(
    data: o.DataPath,
    target: o.Target,
    task: o.Task = None,
    without: o.Without = None,
    categorical: o.Categorical = None,
    missing: o.Missing = "refuse",
    scale: o.Scale = "standard",
    split: o.Split = "70/15/15",
    delimiter: o.Delimiter = None,
    seed: o.Seed = 0,
    hidden: o.ComparedHidden = None,
    activation: o.ComparedActivation = None,
    loss: o.Loss = None,
    l2: o.ComparedL2 = None,
    methods: o.Methods = None,
    epochs: o.Epochs = None,
    patience: o.ComparedPatience = None,
    time_limit: o.ComparedTimeLimit = None,
    engine: o.Engine = "auto",
    plot: o.Plot = None,
    force: o.Force = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    lang: o.Lang = None,
) -> None:
    """Race methods of training on a table."""
    given = locals()
    screen = _screen(lang, quiet)
    with failures(screen):
        from thalweg.cli.compare import Order, run

        run(screen, Order(**{name: given[name] for name in Order.__dataclass_fields__}))


@app.command(help="help_predict", epilog="epilog_predict", rich_help_panel="panel_commands")
def predict(
    model: o.ModelPath,
    data: o.DataPath,
    output: o.TableOutput = None,
    probabilities: o.Probabilities = False,
    append: o.Append = False,
    delimiter: o.Delimiter = None,
    force: o.Force = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    lang: o.Lang = None,
) -> None:
    """Predict the targets of a table's rows."""
    given = locals()
    screen = _screen(lang, quiet)
    with failures(screen):
        from thalweg.cli.predict import Order, run

        run(screen, Order(**{name: given[name] for name in Order.__dataclass_fields__}))


@app.command(help="help_explain", epilog="epilog_explain", rich_help_panel="panel_commands")
def explain(
    things: o.Things = None,
    row: o.Row = "1",
    neuron: o.Neuron = None,
    view: o.View = "layers",
    entry: o.Entry = None,
    at: o.At = "end",
    formula: o.FormulaText = None,
    take_apart: o.TakeApart = False,
    check: o.WithCheck = False,
    form: o.Form = "terminal",
    output: o.TextOutput = None,
    force: o.Force = False,
    lang: o.Lang = None,
) -> None:
    """Show every derivative of a model on some rows, or of a formula."""
    given = locals()
    screen = _screen(lang)
    with failures(screen):
        from thalweg.cli.explain import Order, run

        run(screen, Order(**{name: given[name] for name in Order.__dataclass_fields__}))


@app.command(help="help_check", epilog="epilog_check", rich_help_panel="panel_commands")
def check(
    things: o.Things = None,
    row: o.Row = "1",
    at: o.At = "end",
    formula: o.FormulaText = None,
    tolerance: o.Tolerance = 1e-6,
    json: o.Json = False,
    lang: o.Lang = None,
) -> None:
    """Hold exact derivatives against central differences."""
    screen = _screen(lang)
    with failures(screen):
        from thalweg.cli.check import Order, run

        run(screen, Order(tuple(things or ()), row, at, formula, tolerance, json))


@app.command(help="help_info", epilog="epilog_info", rich_help_panel="panel_commands")
def info(
    file: o.AnyPath,
    delimiter: o.Delimiter = None,
    json: o.Json = False,
    lang: o.Lang = None,
) -> None:
    """Say what is in a model file or a table."""
    screen = _screen(lang)
    with failures(screen):
        from thalweg.cli.info import run

        run(screen, file, delimiter, json)
