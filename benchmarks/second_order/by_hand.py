"""Mean squared error, gradient and Jacobian of a tanh network in plain NumPy."""

import numpy as np

from benchmarks.second_order.problems import Array, Problem

__all__ = ["ByHand"]


class ByHand:
    """What someone who knows back-propagation writes for SciPy.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.X, self.t = problem.data()

    def _forward(self, theta: Array) -> tuple[list[tuple[Array, Array]], list[Array]]:
        layers, values = self.problem.layers(theta), [self.X]
        for W, b in layers[:-1]:
            values.append(np.tanh(values[-1] @ W.T + b))
        W, b = layers[-1]
        values.append(values[-1] @ W.T + b)
        return layers, values

    def residuals(self, theta: Array) -> Array:
        """Outputs minus targets."""
        return self._forward(theta)[1][-1][:, 0] - self.t

    def mse(self, theta: Array) -> float:
        """Their mean square."""
        return float(np.mean(self.residuals(theta) ** 2))

    def jacobian(self, theta: Array) -> Array:
        """Of the residuals, shape (N, P)."""
        layers, values = self._forward(theta)
        parts: list[Array] = []
        delta = np.ones((len(self.X), 1))
        for (W, _), a in zip(reversed(layers), reversed(values[:-1]), strict=True):
            rows = (delta[:, :, None] * a[:, None, :]).reshape(len(a), -1)
            parts[:0] = [rows, delta]
            delta = (delta @ W) * (1.0 - a * a)
        return np.concatenate(parts, axis=1)

    def mse_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """The mean squared error and its gradient, shape (P,)."""
        layers, values = self._forward(theta)
        error = values[-1][:, 0] - self.t
        parts: list[Array] = []
        delta = (2.0 / len(self.t)) * error[:, None]
        for (W, _), a in zip(reversed(layers), reversed(values[:-1]), strict=True):
            parts[:0] = [(delta.T @ a).ravel(), delta.sum(axis=0)]
            delta = (delta @ W) * (1.0 - a * a)
        return float(np.mean(error**2)), np.concatenate(parts)
