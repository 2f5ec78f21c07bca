"""The commands: each has a record of what it can be asked for, and a file that does it."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Annotated, Any, get_type_hints

import typer

from thalweg.cli import orders
from thalweg.cli.failures import failures
from thalweg.cli.localise import checked_language, localise
from thalweg.cli.options import PANELS
from thalweg.cli.screen import Screen

__all__ = ["command"]

COMMANDS: tuple[type[orders.Order], ...] = (
    orders.Fit,
    orders.Compare,
    orders.Predict,
    orders.Explain,
    orders.Check,
    orders.Info,
)

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
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="option_version", metavar="", callback=_version, is_eager=True
        ),
    ] = False,
    lang: Annotated[str | None, typer.Option(help="option_lang", metavar="en|ko")] = None,
) -> None:
    context.obj = lang


def _screen(lang: str | None, quiet: bool) -> Screen:
    """Where to write; a language that is not spoken is an error in the one that is."""
    screen = Screen("en", quiet)
    with failures(screen):
        screen.lang = checked_language(lang)
    return screen


def _register(kind: type[orders.Order]) -> None:
    """Make a command of an order: ``thalweg fit`` runs ``thalweg.cli.fit.run(screen, order)``."""
    name = kind.__name__.lower()

    def run(context: typer.Context, **given: Any) -> None:
        order = kind(**given)
        screen = _screen(order.lang or context.obj, getattr(order, "quiet", False))
        with failures(screen):
            import_module(f"thalweg.cli.{name}").run(screen, order)

    run.__doc__ = kind.__doc__
    run.__signature__ = _signature(kind)  # type: ignore[attr-defined]  # what Typer reads
    about = {"help": f"help_{name}", "epilog": f"epilog_{name}"}
    app.command(name, rich_help_panel="panel_commands", **about)(run)  # type: ignore[arg-type]


def _signature(kind: type[orders.Order]) -> inspect.Signature:
    """The fields of a record as parameters, panel by panel as `--help` shows them."""
    hints, shared = get_type_hints(kind, include_extras=True), fields(orders.Order)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in (*fields(kind)[len(shared) :], *shared)
    ]
    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    return inspect.Signature([context, *sorted(parameters, key=_panel)])


def _panel(parameter: inspect.Parameter) -> int:
    """Arguments first, then the panels in their order."""
    panel = parameter.annotation.__metadata__[0].rich_help_panel
    return PANELS.index(panel) if panel in PANELS else -1


for _kind in COMMANDS:
    _register(_kind)
