"""Where damped steps end: beyond plateaus, and not in rounding."""

import numpy as np

import thalweg as tw
import thalweg.numpy as tnp

T = np.linspace(0.0, 10.0, 60)


def test_parameters_that_stop_mattering_are_no_end():
    scaled = 1e3 * T
    data = 5e6 * np.exp(-3e-4 * scaled) + 2e3 * np.exp(-1e-3 * scaled)
    fit = tw.least_squares(
        lambda b: b[0] * 1e6 * tnp.exp(-b[1] * 1e-4 * scaled)
        + b[2] * 1e3 * tnp.exp(-b[3] * scaled) - data,
        [500.0, 300.0, 200.0, 0.1],
    )  # fmt: skip
    assert fit.cost < 1e-3 * 0.5 * float(data @ data)


def test_zero_residuals_are_not_chased_into_rounding():
    # A·X² + B·X + C = 0; entries of X that are zero must not keep the steps alive.
    for seed in (0, 1, 3, 4):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(-3, 4, (2, 3, 3)).astype(float)
        root = np.diag(rng.integers(1, 4, 3)).astype(float)
        root[0, 2] = 1.0
        c = -(a @ root @ root + b @ root)
        start = 0.9 + 0.1 * rng.normal(size=(3, 3))
        fit = tw.least_squares(lambda x: (a @ (x @ x) + b @ x + c).reshape(-1), start)  # noqa: B023
        assert fit.success and fit.cost < 1e-25
        assert fit.nit <= 8
