"""Every method by name: first-order rules, which run epochs, and solvers, which run themselves.

A method is one record. A solver is added with one row in `METHODS` whose `run` takes a `Task` and
gives back an `Outcome`; nothing else in this room asks which method it is.

Examples
--------
>>> method("adam").name
'adam'
>>> method("neterov")
Traceback (most recent call last):
...
thalweg.errors.OptionError: There is no method 'neterov'. Did you mean 'nesterov'?
>>> method("trainlm")
Traceback (most recent call last):
...
thalweg.errors.OptionError: There is no method 'trainlm'. What is nearest here is 'lm'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from thalweg.errors import OptionError, suggest
from thalweg.optim.rules import RULES, Rule
from thalweg.phrases import Phrase
from thalweg.training.batches import default_batch_size
from thalweg.training.engines import make_program
from thalweg.training.loop import Outcome, Task, run_epochs

__all__ = ["METHODS", "Method", "levenberg_marquardt", "method", "method_under_constraints"]


@dataclass(frozen=True)
class Method:
    """A way to train.

    Parameters
    ----------
    name : str
    run : callable
        ``run(task) -> Outcome``.
    rule : Rule or None
        With its default hyperparameters, for first-order methods.
    epochs, patience : int
        What suits the method where nothing is said.
    whole : bool
        Whether every step uses all rows, whatever the rule is used to.
    """

    name: str
    run: Callable[[Task], Outcome]
    rule: Rule | None = None
    epochs: int = 1000
    patience: int = 50
    whole: bool = False

    @property
    def full_batch(self) -> bool:
        """Whether every step uses all rows."""
        return self.whole or self.rule is None or self.rule.full_batch


def run_rule(task: Task) -> Outcome:
    """Run the epochs of a first-order rule."""
    program, engine = make_program(task)
    return replace(run_epochs(task, program), engine=engine)


def run_levenberg_marquardt(task: Task, form: str = "auto") -> Outcome:
    """Train by Levenberg-Marquardt; like all that follows, it is loaded when it first runs."""
    from thalweg.training.levenberg_marquardt import run_levenberg_marquardt as run

    return run(task, form)


def run_gauss_newton(task: Task) -> Outcome:
    """Train by Gauss-Newton."""
    from thalweg.training.levenberg_marquardt import run_gauss_newton as run

    return run(task)


def run_bayesian(task: Task) -> Outcome:
    """Train by Bayesian regularisation."""
    from thalweg.training.bayesian import run_bayesian as run

    return run(task)


def solver(name: str) -> Callable[[Task], Outcome]:
    """How a solver of `thalweg.optim` runs."""

    def run(task: Task) -> Outcome:
        from thalweg.training.solvers import run_solver

        return run_solver(task, name)

    return run


def constrained(name: str, **options: Any) -> Callable[[Task], Outcome]:
    """How a solver for constraints runs."""

    def run(task: Task) -> Outcome:
        if task.constraints is None:
            return solver(name)(task)
        from thalweg.training.constraints.rounds import run_constrained

        return run_constrained(task, name, options)

    return run


SOLVERS = (
    *("bfgs", "lbfgs", "cg", "cg-fr", "cg-pr", "cg-hs", "cg-dy", "cg-hz", "scg"),
    *("newton", "newton-line", "newton-dogleg", "newton-cg"),
)
"""Solvers that need nothing but the objective and its derivatives."""

METHODS: dict[str, Method] = {
    name: Method(
        name,
        run_rule,
        rule(),  # type: ignore[call-arg]  # every rule has a default learning rate
        epochs=2000 if rule.full_batch else 500,
        patience=100 if rule.full_batch else 30,
    )
    for name, rule in RULES.items()
}
METHODS |= {name: Method(name, solver(name), epochs=1000, patience=6) for name in SOLVERS}
METHODS["lm"] = Method("lm", run_levenberg_marquardt, epochs=1000, patience=6)
METHODS["gauss-newton"] = Method("gauss-newton", run_gauss_newton, epochs=1000, patience=6)
METHODS["br"] = Method("br", run_bayesian, epochs=1000, patience=0)
METHODS |= {
    name: Method(name, constrained(name), epochs=1000, patience=6)
    for name in ("interior-point", "augmented-lagrangian")
}
"""All methods by name."""

ELSEWHERE = {
    **dict.fromkeys(("trainlm", "levenberg-marquardt", "marquardt"), "lm"),
    **dict.fromkeys(("trainbr", "trainbu"), "br"),
    **dict.fromkeys(("trainbfg", "quasi-newton"), "bfgs"),
    **dict.fromkeys(("trainoss", "l-bfgs", "l-bfgs-b"), "lbfgs"),
    **dict.fromkeys(("traingd", "traingda", "gradient-descent"), "gd"),
    **dict.fromkeys(("traingdm", "traingdx", "sgdm"), "momentum"),
    **dict.fromkeys(("traincgb", "conjugate-gradient"), "cg"),
    **dict.fromkeys(("slsqp", "trust-constr", "ipopt"), "interior-point"),
    "traincgf": "cg-fr",
    "traincgp": "cg-pr",
    "trainscg": "scg",
    "trainrp": "rprop",
}
"""Names of MATLAB's functions and others', in small letters, and what is nearest."""

DAMPED = ("lm", "br")
"""Methods with Levenberg-Marquardt's damping."""

HELD = 50
"""Patience under constraints: steps towards them may raise the loss for a while."""

INNER: dict[str, str | None] = {"lm": "marquardt", "br": None}
"""What methods are called inside the augmented Lagrangian, where that is another name."""

STEPS = 1000
"""The least epochs under constraints where nothing is said: each is one step."""

SMALL = 1000
"""Parameters up to which constraints go to the interior-point method by themselves."""


def method(given: str | Rule | Method) -> Method:
    """Look up a method; a rule with hyperparameters of its own is one, too.

    Parameters
    ----------
    given : str, Rule or Method
        ``"adam"``, or ``thalweg.optim.rules.Adam(beta1=0.8)``.

    Raises
    ------
    OptionError
        If there is none of this name; the nearest is suggested.
    """
    if isinstance(given, Method):
        return given
    if isinstance(given, Rule):
        name = next((n for n, kind in RULES.items() if kind is type(given)), type(given).__name__)
        return replace(METHODS.get(name, METHODS["sgd"]), name=name, rule=given)
    if given not in METHODS:
        raise OptionError(
            "There is no method {given!r}.{hint}", given=given, hint=_hint(str(given))
        )
    return METHODS[given]


def _hint(given: str) -> Phrase:
    """What to write instead of a name that is not known."""
    name = given.lower().replace("_", "-").replace(" ", "-")
    ours = name if name in METHODS else ELSEWHERE.get(name)
    if ours is None:
        return suggest(given, METHODS)
    return Phrase(" What is nearest here is {ours!r}.", ours=ours)


def levenberg_marquardt(form: str = "auto") -> Method:
    """Method ``"lm"`` with its equations in a given form.

    Parameters
    ----------
    form : {"auto", "primal", "dual", "products"}
        ``"auto"`` chooses by the shapes, as ``"lm"`` does: see `thalweg.training.gauss_newton`.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> method = levenberg_marquardt("dual")
    >>> model = tw.fit(tw.Network([tw.Dense(1, 9, "tanh"), tw.Dense(9, 1)]), x, x[:, 0] ** 2,
    ...                method=method, split="none", epochs=20)
    >>> bool(model.evaluate(x, x[:, 0] ** 2)["r2"] > 0.9999)
    True
    """

    def run(task: Task) -> Outcome:
        return run_levenberg_marquardt(task, form)

    return replace(METHODS["lm"], run=run)


def method_under_constraints(given: str | Rule | Method | None, parameters: int) -> Method:
    """The method for a network with constraints: one that holds them, around the given one.

    Parameters
    ----------
    given : str, Rule, Method or None
        None chooses by the number of parameters.
    parameters : int

    Raises
    ------
    OptionError
        If the method cannot serve within the augmented Lagrangian.
    """
    from thalweg.optim.first_order import brisk

    if given is None:
        given = "interior-point" if parameters <= SMALL else "augmented-lagrangian"
    chosen = method(given)
    if chosen.name in ("interior-point", "augmented-lagrangian"):
        return chosen
    inner = INNER.get(chosen.name, chosen.name)
    if inner is None:
        raise OptionError(
            "method {name!r} cannot hold constraints: leave it out, or choose interior-point, "
            "augmented-lagrangian, lm or lbfgs.",
            name=chosen.name,
        )
    return replace(
        chosen,
        name=f"augmented-lagrangian({chosen.name})",
        run=constrained("augmented-lagrangian", inner=inner),
        rule=brisk(given) if isinstance(given, str) and given in RULES else chosen.rule,
        epochs=max(chosen.epochs, STEPS),
        whole=True,
    )


def _refuse_foreign(chosen: Method, task: Task) -> None:
    """An OptionError for an option that the method would have to ignore."""
    options, rows = task.options, len(task.train.X)
    if options.damped and chosen.name not in DAMPED:
        raise OptionError(
            "{option} is an option of lm and br, not of {method}.",
            option=options.damped[0],
            method=chosen.name,
        )
    if chosen.rule is None and options.stepping:
        raise OptionError(
            "{option} is an option of first-order methods, such as adam: {method} finds the "
            "lengths of its steps itself. Leave out {option}.",
            option=options.stepping[0],
            method=chosen.name,
        )
    whole = chosen.rule is None or bool(task.constraints)
    if whole and (options.batch_size or rows) < rows:
        raise OptionError(
            "{method} takes all {rows} rows at every step: leave out batch_size.",
            method=chosen.name,
            rows=rows,
        )
    if whole and task.objective.network.drops:
        raise OptionError(
            "dropout silences other neurons at every step, and {method} compares steps with each "
            "other: leave out dropout, or take a first-order method without constraints.",
            method=chosen.name,
        )


def settle(chosen: Method, task: Task) -> Task:
    """Fill in what the options leave to the method."""
    options, rows = task.options, len(task.train.X)
    _refuse_foreign(chosen, task)
    validated = task.validation is not None
    rate = options.learning_rate
    if rate is None and chosen.rule is not None:
        rate = chosen.rule.learning_rate
    batch = rows if chosen.full_batch else default_batch_size(rows)
    patience = 0 if not validated else HELD if task.constraints else chosen.patience
    options = replace(
        options,
        epochs=chosen.epochs if options.epochs is None else options.epochs,
        patience=patience if options.patience is None else options.patience,
        batch_size=min(rows, options.batch_size or batch),
        learning_rate=rate,
    )
    return replace(task, options=options, rule=chosen.rule)
