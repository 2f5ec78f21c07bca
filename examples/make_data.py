"""Regenerate the tables in this folder from the copies that scikit-learn brings along.

    python examples/make_data.py

Nothing is downloaded. Where each table comes from is told in README.md beside this file.
"""

from pathlib import Path

import numpy as np
from sklearn import datasets

from thalweg.training.tables import write_table

HERE = Path(__file__).parent


def snake(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def breast_cancer() -> tuple[list[str], list[np.ndarray]]:
    data = datasets.load_breast_cancer()
    names = [snake(name) for name in data.feature_names]
    diagnosis = data.target_names[data.target].astype(object)
    return [*names, "diagnosis"], [*data.data.T, diagnosis]


def diabetes() -> tuple[list[str], list[np.ndarray]]:
    data = datasets.load_diabetes(scaled=False)
    return [*data.feature_names, "progression"], [*data.data.T, data.target]


def digits() -> tuple[list[str], list[np.ndarray]]:
    data = datasets.load_digits()
    return [*data.feature_names, "digit"], [*data.data.T, data.target]


def xor() -> tuple[list[str], list[np.ndarray]]:
    x1, x2 = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    return ["x1", "x2", "y"], [x1, x2, x1 ^ x2]


if __name__ == "__main__":
    for make in (breast_cancer, diabetes, digits, xor):
        path = HERE / f"{make.__name__}.csv"
        write_table(path, *make(), force=True)
        print(f"{path.name}: {path.stat().st_size} bytes")
