"""A network that must not contradict what is known: rents rise with size and fall with distance.

A made-up table of 1500 flats: rent by size (m²), distance to the centre (km), age (years), floor,
with noise in proportion to the rent, so that a free network finds slopes of the wrong sign where
there are few rows. Held to be rising in size, falling in distance and positive, it is not worse on
rows it has not seen, and nowhere on a dense grid does it contradict.

    python examples/monotone.py
"""

from __future__ import annotations

import sys
import time

import numpy as np

import thalweg as tw

ROWS = 1500
COLUMNS = ("size", "distance", "age", "floor")
RISING, FALLING = 0, 1


def flats(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and rents (in 10,000 won a month)."""
    rng = np.random.default_rng(seed)
    size = np.clip(rng.gamma(6.0, 10.0, rows), 15.0, 200.0)
    distance = rng.exponential(6.0, rows).clip(0.2, 30.0)
    age = rng.uniform(0.0, 40.0, rows)
    floor = rng.integers(1, 26, rows).astype(float)
    rent = 12.0 * size**0.7 * np.exp(-distance / 25.0) * (1.0 - 0.3 * np.tanh(age / 15.0))
    rent += 0.6 * floor
    return np.column_stack([size, distance, age, floor]), rent * rng.lognormal(0.0, 0.15, rows)


def worst_slope(model: tw.Model, X: np.ndarray, column: int, sign: float) -> float:
    """The most wrong slope on a grid of 400 values of a column for each of 500 other flats."""
    rng = np.random.default_rng(1)
    others = rng.uniform(X.min(axis=0), X.max(axis=0), (500, X.shape[1]))
    values = np.linspace(X[:, column].min(), X[:, column].max(), 400)
    rows = np.repeat(others, len(values), axis=0)
    rows[:, column] = np.tile(values, len(others))
    rents = model.predict(rows).reshape(len(others), -1)
    return float((sign * np.diff(rents, axis=1) / (values[1] - values[0])).min())


def main(rows: int = ROWS) -> None:
    """Fit without and with constraints, and compare on rows that nobody has seen."""
    X, rent = flats(rows)
    seen_by_nobody = flats(5000, seed=1)
    net = tw.Network([tw.Dense(4, 8, "tanh", initialiser="nguyen_widrow"), tw.Dense(8, 1)])
    constraints = [
        tw.monotone(RISING),
        tw.monotone(FALLING, increasing=False),
        tw.output_between(0.0, None),
    ]
    errors = []
    for name, options in (
        ("free (lm)", {"method": "lm"}),
        ("constrained", {"constraints": constraints, "l2": 1e-3}),
    ):
        began = time.perf_counter()
        model = tw.fit(net, X, rent, seed=3, **options)
        seconds = time.perf_counter() - began
        errors.append(model.evaluate(*seen_by_nobody)["rmse"])
        wrong = worst_slope(model, X, RISING, 1.0), worst_slope(model, X, FALLING, -1.0)
        print(f"{name}: {model.stop}")
        print(f"  {seconds:.1f} s, RMSE on 5000 other flats {errors[-1]:.2f}")
        print(f"  most wrong slope in size {wrong[0]:.3g}, in distance {wrong[1]:.3g}")
        if model.constraints is not None:
            print("  " + str(model.constraints).replace("\n", "\n  "))
    print(f"error under constraints / without: {errors[1] / errors[0]:.3f}")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
