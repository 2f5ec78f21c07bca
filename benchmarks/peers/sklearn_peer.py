"""scikit-learn's MLPs with their own defaults, ``tol=0``, and no early stop.

A run is one ``fit`` over as many epochs as its steps need, but at least one, so checks and set-up
are spread as in real use. For the comparison of parameters the batches are laid out in the
workload's order and left unshuffled. Its regression loss is half ours, to which Adam is blind; it
adds ε before the bias is corrected, so parameters are compared with an ε of almost nothing.
"""

import warnings
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from benchmarks.peers import Run, Side, in_words, thread_counts
from benchmarks.workloads import BETAS, Parameters, Workload

__all__ = ["sides"]


@dataclass(frozen=True)
class SklearnSide:
    threads: int
    family: str = "sklearn"
    tolerance: float = 1e-9
    check_epsilon: float = 1e-30

    @property
    def setting(self) -> str:
        return in_words(self.threads)

    def prepare(self, workload: Workload) -> Run:
        inputs, targets = _data(workload, workload.dtype)

        def run(steps: int) -> float:
            per_epoch = workload.samples // workload.batch
            epochs, rows = max(1, steps // per_epoch), per_epoch * workload.batch
            model = _model(workload, epochs, shuffle=True)
            with threadpool_limits(self.threads):
                start = perf_counter()
                _fit(model, inputs[:rows], targets[:rows])
                return (perf_counter() - start) / (epochs * per_epoch)

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        inputs, targets = _data(workload, "float64")
        rows = workload.order(steps).ravel()
        model = _model(workload, 1, shuffle=False)
        start = iter(workload.parameters("float64"))
        model._init_coef = lambda *_: _transposed(*next(start))
        with threadpool_limits(self.threads):
            _fit(model, inputs[rows], targets[rows])
        layers = zip(model.coefs_, model.intercepts_, strict=True)
        return [_transposed(W, b) for W, b in layers]


def _transposed(W: Any, b: Any) -> tuple[Any, Any]:
    return np.ascontiguousarray(W.T), b


def _data(workload: Workload, dtype: str) -> tuple[Any, Any]:
    inputs, targets = workload.data(dtype)
    return inputs, targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets


def _model(workload: Workload, epochs: int, shuffle: bool) -> Any:
    kind = MLPClassifier if workload.loss == "cross_entropy" else MLPRegressor
    return kind(
        hidden_layer_sizes=workload.sizes[1:-1],
        activation=workload.activation,
        alpha=0.0,
        batch_size=workload.batch,
        learning_rate_init=workload.learning_rate,
        beta_1=BETAS[0],
        beta_2=BETAS[1],
        epsilon=workload.epsilon,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        tol=0.0,
        shuffle=shuffle,
        random_state=workload.seed,
    )


def _fit(model: Any, inputs: Any, targets: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, targets)


def sides() -> list[Side]:
    return [SklearnSide(n) for n in thread_counts()]
