"""How well both generalise: thalweg's defaults beside scikit-learn's, on the same rows.

    python -m benchmarks.accuracy                       # three tables, seeds 0-9
    python -m benchmarks.accuracy --only diabetes --seeds 3

Every seed is one split 70/15/15, stratified for classes. scikit-learn's ``MLPClassifier`` and
``MLPRegressor`` keep their defaults and learn from the training rows, standardised by those
rows; thalweg's command line fits the same table with the same seed and nothing else said. The
score is accuracy or R² on the test rows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

__all__ = ["TABLES", "Data", "Rows", "read", "sklearn_scores", "splits_of", "thalweg_scores"]

Rows = NDArray[np.int64]
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SPLIT = "70/15/15"


class Data(NamedTuple):
    """A table whose last column is to be predicted."""

    name: str
    target: str
    classes: bool

    @property
    def path(self) -> Path:
        return EXAMPLES / f"{self.name}.csv"


TABLES = {
    table.name: table
    for table in (
        Data("breast_cancer", "diagnosis", classes=True),
        Data("diabetes", "progression", classes=False),
        Data("digits", "digit", classes=True),
    )
}


def read(data: Data) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Inputs (rows, columns) and the target of each row; classes as text."""
    cells = np.genfromtxt(data.path, delimiter=",", dtype=str, skip_header=1)
    targets = cells[:, -1] if data.classes else cells[:, -1].astype(np.float64)
    return cells[:, :-1].astype(np.float64), targets


def splits_of(data: Data, seeds: Iterable[int]) -> list[tuple[Rows, Rows, Rows]]:
    """Training, validation and test rows for each seed, as thalweg divides them."""
    from thalweg.training.splits import split_rows

    targets = read(data)[1]
    classes = targets if data.classes else None
    splits = [split_rows(len(targets), SPLIT, seed, stratify=classes) for seed in seeds]
    return [(split.train, split.validation, split.test) for split in splits]


def sklearn_scores(data: Data, splits: Sequence[tuple[Rows, Rows, Rows]]) -> list[float]:
    """The test score of scikit-learn's MLP for each split; the split's number is its seed."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs, targets = read(data)
    network = MLPClassifier if data.classes else MLPRegressor
    scores = []
    for seed, (train, _, test) in enumerate(splits):
        model = make_pipeline(StandardScaler(), network(random_state=seed))
        with warnings.catch_warnings():
            # Their defaults stop at 200 epochs, converged or not; that is what is compared.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs[train], targets[train])
        scores.append(float(model.score(inputs[test], targets[test])))
    return scores


def thalweg_scores(data: Data, seeds: Iterable[int]) -> list[float]:
    """The test score that ``thalweg fit`` reports for each seed, all defaults."""
    figure = "accuracy" if data.classes else "r2"
    return [float(_fit(data, seed)["test"][figure]) for seed in seeds]


def _fit(data: Data, seed: int) -> dict[str, Any]:
    """Fit by the command line and read its report: the only place that knows its form."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "thalweg.cli", "fit", str(data.path)]
        command += ["--target", data.target, "--split", SPLIT, "--seed", str(seed)]
        command += ["--output", f"{folder}/model.thalweg", "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _compare(names: Sequence[str], seeds: int, console: Console) -> None:
    table = Table(title=f"Test score, mean over seeds 0-{seeds - 1} (spread)")
    for heading in ("table", "score", "thalweg", "scikit-learn"):
        table.add_column(heading)
    for name in names:
        data = TABLES[name]
        console.print(f"{name} ...", style="dim")
        theirs = sklearn_scores(data, splits_of(data, range(seeds)))
        try:
            ours = _in_words(thalweg_scores(data, range(seeds)))
        except subprocess.CalledProcessError as error:
            ours = "failed: " + (error.stderr.strip().splitlines() or ["no message"])[-1]
        table.add_row(name, "accuracy" if data.classes else "R²", ours, _in_words(theirs))
    console.print(table)


def _in_words(scores: Sequence[float]) -> str:
    spread = f" ({stdev(scores):.4f})" if len(scores) > 1 else ""
    return f"{mean(scores):.4f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(TABLES), default=list(TABLES), help="tables (all)"
    )
    parser.add_argument("--seeds", type=int, default=10, help="splits of each table (10)")
    options = parser.parse_args()
    _compare(options.only, options.seeds, Console())


if __name__ == "__main__":
    main()
