r"""Bayesian regularisation: how strongly weights are held back is learned from the data itself.

Errors are taken as normal, :math:`p(t|θ) ∝ e^{-β E_D}`, and so are the weights beforehand,
:math:`p(θ) ∝ e^{-α E_W}`, with :math:`E_D = \sum w\,(t - y)^2` and :math:`E_W = \sum θ^2` over
weights and biases. Every epoch is one Levenberg-Marquardt step on :math:`β E_D + α E_W`, followed
by the values of α and β that make the data most probable (MacKay 1992):

.. math:: γ = P - 2α\,\mathrm{tr}\,H^{-1}, \qquad α = \frac{γ}{2 E_W}, \qquad
          β = \frac{n - γ}{2 E_D}, \qquad H = 2β\,J^\top J + 2α\,I .

γ, between 0 and the number P of parameters, is how many of them the data determine. No validation
rows are needed, and none stop the training. It is MATLAB's ``trainbr`` (Foresee and Hagan 1997).

With m the eigenvalues of the curvature of the mean loss (`thalweg.training.gauss_newton`) the same
reads :math:`γ = \sum m / (m + λ)`, where λ = 2α/κ and :math:`κ = β\,n_w/c` turns a mean loss, which
is c times a square, into β E_D; :math:`n_w` is the sum of the sample weights.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> rng = np.random.default_rng(0)
>>> x = np.linspace(-1.0, 1.0, 60)[:, None]
>>> y = np.sin(3.0 * x[:, 0]) + rng.normal(scale=0.2, size=60)
>>> net = tw.Network([tw.Dense(1, 20, "tanh"), tw.Dense(20, 1)])
>>> model = tw.fit(net, x, y, method="br", split="none", engine="numpy", epochs=60)
>>> bool(3.0 < model.history["gamma"][-1] < 10.0)  # of 61 parameters
True
>>> spread = model.predict_std([[0.0], [3.0]], x, y)
>>> bool(0.15 < spread[0] < 0.25 < spread[1])  # far from the data nothing is known
True

References
----------
D. J. C. MacKay, Neural Computation 4 (1992) 415 and 448. F. D. Foresee and M. T. Hagan,
Proc. ICNN (1997) 1930.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError
from thalweg.nn.losses import Loss
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import GD
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.gauss_newton import NormalEquations, vector
from thalweg.training.levenberg_marquardt import LevenbergMarquardt, LevenbergState
from thalweg.training.loop import Outcome, Task, run_epochs
from thalweg.training.program import EpochProgram, ProgramState
from thalweg.training.sensitivities import sensitivities
from thalweg.training.stopping import StopReason
from thalweg.training.units import inside, unit_sizes

if TYPE_CHECKING:
    from thalweg.training.model import Model

__all__ = ["BayesianRegularisation", "Evidence", "Posterior", "predictive_std", "run_bayesian"]

Array = NDArray[Any]
SQUARED = ("mse", "half_mse", "performance")
"""Losses that are multiples of the squared error."""
MOST_PARAMETERS = 20_000
ROWS_BYTES = 8 << 20
"""About the size of the Jacobian rows of a block, for error bars."""

TINY = 1e-300
SETTLED = 1e-10
"""Relative change of α and β below which they have arrived."""


def squared_error_factor(loss: Loss, outputs: int) -> float:
    """How many times the squared error a loss is.

    Raises
    ------
    OptionError
        If it is no squared error.

    Examples
    --------
    >>> from thalweg.nn.losses import loss
    >>> squared_error_factor(loss("half_mse"), 1)
    0.5
    """
    if loss.name not in SQUARED:
        raise OptionError(
            "Bayesian regularisation takes errors as normal and needs a squared error "
            "({names}), not {loss}: choose one, or method 'lm' with l2=...",
            names=", ".join(SQUARED),
            loss=loss,
        )
    unit = np.eye(1, outputs)[0]
    return loss.sign * float(loss.sample(unit, np.zeros(outputs)))


@dataclass(frozen=True)
class Evidence:
    """What the data say at one point about α and β.

    Parameters
    ----------
    squares : float
        E_D, the weighted sum of squared errors.
    weights : float
        E_W, the sum of squared parameters.
    eigenvalues : array of shape (P,)
        Of the curvature of E_D, that is of 2 JᵀJ.
    count : float
        n, the number of errors: sum of the sample weights times outputs.
    """

    squares: float
    weights: float
    eigenvalues: Array
    count: float

    def first(self) -> tuple[float, float]:
        """α and β before anything is known: every parameter counts, or half the errors."""
        gamma = min(float(len(self.eigenvalues)), 0.5 * self.count)
        return self._best(gamma)

    def gamma(self, alpha: float, beta: float) -> float:
        """γ, the effective number of parameters: P − 2α tr H⁻¹."""
        scaled = beta * self.eigenvalues
        return float(np.sum(scaled / (scaled + 2.0 * alpha)))

    def improved(self, alpha: float, beta: float) -> tuple[float, float]:
        """The next α and β, from γ at these."""
        return self._best(self.gamma(alpha, beta))

    def _best(self, gamma: float) -> tuple[float, float]:
        free = max(self.count - gamma, 1e-12 * self.count)
        alpha = gamma / (2.0 * max(self.weights, TINY))
        return min(max(alpha, TINY), 1e300), min(free / (2.0 * max(self.squares, TINY)), 1e300)

    def log(self, alpha: float, beta: float) -> float:
        """The logarithm of p(data | α, β), by Laplace's approximation (MacKay 1992, eq. 4.2)."""
        P, n = len(self.eigenvalues), self.count
        determinant = np.sum(np.log(0.5 * beta * self.eigenvalues + alpha))
        exponent = -alpha * self.weights - beta * self.squares
        return float(
            exponent
            - 0.5 * determinant
            + 0.5 * P * np.log(alpha)
            + 0.5 * n * (np.log(beta) - np.log(np.pi))
        )


class BayesianRegularisation:
    """A program whose epochs are a Levenberg-Marquardt step and new values of α and β.

    Parameters
    ----------
    inner : EpochProgram
        Computes losses; of float64.
    task : Task
    """

    def __init__(self, inner: EpochProgram, task: Task) -> None:
        if task.objective.penalty:
            raise OptionError(
                "Bayesian regularisation finds the strength of its penalty itself: leave l1 and "
                "l2 at 0, or choose method 'lm'."
            )
        network = task.objective.network
        self.factor = squared_error_factor(task.objective.loss, network.outputs)
        self.descent = LevenbergMarquardt(inner, task)
        self.total = self.descent.equations.total
        self.count = self.total * network.outputs
        self.alpha = self.beta = 0.0

    def start(self, params: Params) -> ProgramState:
        """The state before the first step."""
        return self.descent.start(params)

    def epoch(self, state: ProgramState, *data: Any) -> float:
        """One step and one re-estimation; returns the loss before the step."""
        assert isinstance(state, LevenbergState)
        if not self.beta:
            self.believe(*self._evidence(state).first())
        mu = state.damping.mu if state.damping else None
        loss = self.descent.epoch(state)
        evidence, before = self._evidence(state), (self.alpha, self.beta)
        gamma = evidence.gamma(*before)
        self.believe(*evidence.improved(*before))
        change = np.abs(np.log([self.alpha, self.beta]) - np.log(before)).max()
        if state.finished is not None:
            count = len(state.theta)
            stop = StopReason.of("evidence", epoch=state.step, gamma=gamma, count=count)
            state.finished = stop if change < SETTLED else None
            if mu is not None and state.damping is not None:
                state.damping.mu, state.damping.growth = mu, 2.0
        state.figures.update(
            gamma=gamma,
            alpha=self.alpha,
            beta=self.beta,
            log_evidence=evidence.log(self.alpha, self.beta),
        )
        return loss

    def believe(self, alpha: float, beta: float) -> None:
        """Take over α and β; their ratio is the decay of the mean loss."""
        self.alpha, self.beta = alpha, beta
        self.descent.decay = 2.0 * alpha * self.factor / (beta * self.total)

    def _evidence(self, state: LevenbergState) -> Evidence:
        model, theta = self.descent.model(state), state.theta
        scale = self.total / self.factor
        squares, eigenvalues = scale * model.loss, model.curvature.eigenvalues()
        return Evidence(
            squares, float(theta @ theta), scale * np.maximum(eigenvalues, 0.0), self.count
        )

    def loss(self, params: Params, X: Array, T: Array, weights: Array) -> float:
        """The weighted mean loss at some parameters."""
        return self.descent.loss(params, X, T, weights)

    def gradient_norm(self, state: ProgramState) -> float:
        """That of the mean loss where training stands."""
        return self.descent.gradient_norm(state)

    def loss_over(self, samples: Samples) -> Callable[[Array], float]:
        """The same over samples, as a function of one vector of all parameters."""
        return self.descent.loss_over(samples)

    def gradient(self, params: Params, X: Array, T: Array, weights: Array) -> tuple[float, Params]:
        """The mean loss and its gradient."""
        return self.descent.gradient(params, X, T, weights)


def run_bayesian(task: Task) -> Outcome:
    """Train with Bayesian regularisation, in float64; the last weights are kept by default."""
    options = replace(task.options, keep=task.options.keep or "last")
    exact = replace(task, dtype=np.dtype(np.float64), rule=task.rule or GD(), options=options)
    inner, engine = make_program(exact)
    return replace(run_epochs(exact, BayesianRegularisation(inner, exact)), engine=engine)


# -- error bars ----------------------------------------------------------------------------------
class Posterior:
    r"""The parameters after the data were seen: normal around θ, with covariance H⁻¹.

    An output has then the variance :math:`\frac{1}{2β} + g^\top H^{-1} g` with
    :math:`g = ∂y/∂θ` (linearised Laplace approximation): noise, and what is not known.

    Parameters
    ----------
    objective : NetworkObjective
        With a squared error.
    params : list of dict
    samples : Samples
        The training rows, as the network sees them.
    alpha, beta : float
    """

    def __init__(
        self,
        objective: NetworkObjective,
        params: Params,
        samples: Samples,
        alpha: float,
        beta: float,
    ) -> None:
        self.objective, self.theta, self.beta = objective, vector(params), beta
        factor = squared_error_factor(objective.loss, objective.network.outputs)
        if len(self.theta) > MOST_PARAMETERS:
            raise OptionError(
                "Error bars need the factors of a matrix with a row for each of the "
                "{count} parameters: choose a network of at most {most}.",
                count=len(self.theta),
                most=MOST_PARAMETERS,
            )
        equations = NormalEquations(objective, *samples, native=False, form="primal")
        hessian = beta * equations.total / factor * equations.at(self.theta).matrix()
        hessian[np.diag_indices(len(hessian))] += 2.0 * alpha
        self.root = np.linalg.cholesky(hessian)

    def std(self, X: Array, noise: bool = True) -> Array:
        """The standard deviation of the outputs, shape (n, n[L]).

        Parameters
        ----------
        X : array of shape (n, n[0])
        noise : bool
            Whether that of a new observation, or only of its mean.
        """
        from scipy.linalg import solve_triangular

        outputs = self.objective.network.outputs
        if not len(X):
            return np.zeros((0, outputs))
        samples = Samples(X, np.zeros((len(X), outputs)), np.ones(len(X)))
        block = max(1, ROWS_BYTES // (8 * len(self.theta) * outputs))
        blocks, read = sensitivities(self.objective, samples, block, native=False)

        def spread(results: list[Array], slot: int) -> Array:
            rows = read(results, slot).rows().reshape(-1, len(self.theta))
            half = solve_triangular(self.root, rows.T, lower=True)
            return np.asarray(np.sum(half * half, axis=0).reshape(-1, outputs))

        variance = np.concatenate(list(blocks.map(self.theta, spread)))[: len(X)]
        if noise:
            variance += 0.5 / self.beta
        return np.asarray(np.sqrt(variance))


def predictive_std(
    model: Model, X: Any, seen: Any, y: Any = None, weights: Any = None, noise: bool = True
) -> Array:
    """Error bars of a model's predictions, in the target's own unit.

    Parameters
    ----------
    model : Model
        Trained by Bayesian regularisation.
    X : array-like of shape (n, columns), table, dataframe or path
    seen, y : array-like, table, dataframe or path
        The training rows; y is left out where a table holds the targets.
    weights : array-like of shape (rows,), optional
        Of the training rows.
    noise : bool
        Whether the spread of a new observation, or only of its mean.

    Returns
    -------
    array of shape (n,), or (n, targets) with several targets
        Standard deviations.

    Raises
    ------
    OptionError
        If the model was trained by another method.
    """
    epoch = model.origin.kept_epoch
    if "gamma" not in model.history.names or not epoch:
        raise OptionError(
            "Error bars need a model of method 'br'; this one was trained by {method!r}.",
            method=model.origin.method,
        )
    scaling, width = model.encoding.target_scaling, model.network.outputs
    T = model.targets(seen, y)
    w = np.ones(len(T)) if weights is None else np.asarray(weights, np.float64)
    alpha, beta = (float(model.history[name][epoch - 1]) for name in ("alpha", "beta"))
    objective = NetworkObjective(model.network, inside(model.loss, scaling, width)[0])
    samples = Samples(np.asarray(model.inputs(seen), np.float64), T, w)
    posterior = Posterior(objective, model.params, samples, alpha, beta)
    spread = posterior.std(np.asarray(model.inputs(X), np.float64), noise)
    spread = spread * unit_sizes(scaling, width)
    return spread[:, 0] if width == 1 else spread
