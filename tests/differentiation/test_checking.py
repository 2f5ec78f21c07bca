import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import ShapeError

X = np.array([0.4, -1.3, 2.2])


def test_agreement_is_said_in_a_sentence():
    check = tw.check_gradients(lambda p: tnp.sum(tnp.tanh(p["w"]) * p["b"]), {"w": X, "b": 2 * X})
    assert check
    assert check.count == 6
    assert "agree" in str(check)
    assert check.worst.startswith("p['")


def test_a_wrong_derivative_is_found_and_named():
    # stop_gradient makes the exact derivative of the second entry wrong on purpose.
    def f(x):
        return x[0] ** 2 + x[1] * tnp.stop_gradient(x[1])

    check = tw.check_gradients(f, X[:2])
    assert not check
    assert check.worst == "x[1]"
    assert check.exact == pytest.approx(-1.3)
    assert check.numerical == pytest.approx(-2.6)
    assert "DIFFER" in str(check)


def test_a_kink_is_said():
    check = tw.check_gradients(lambda x: tnp.sum(tnp.abs(x)), np.array([1.0, 0.0]))
    assert check.kink or check.ok
    leaky = tw.check_gradients(lambda x: tnp.where(x > 0, x, 0.1 * x), 0.0)
    assert not leaky
    assert "kink" in str(leaky)


def test_results_of_any_shape():
    check = tw.check_gradients(lambda x, y: {"s": x * y, "t": tnp.outer(x, y)}, X, X + 1)
    assert check
    assert check.count == (3 + 9) * 6
    assert tw.check_gradients(lambda x: x * 2, np.zeros((0,)))


def test_nan_is_not_agreement():
    assert not tw.check_gradients(lambda x: tnp.log(x) * 0 + tnp.sqrt(x), 0.0)


def test_numerical_gradient_against_a_closed_form():
    found = tw.numerical_gradient(lambda w, x: tnp.sum(w * tnp.exp(x)), 2 * X, X, argnums=1)
    np.testing.assert_allclose(found, 2 * X * np.exp(X), rtol=1e-9)
    assert tw.numerical_gradient(lambda p: p["a"] ** 3, {"a": 2.0})["a"] == pytest.approx(12.0)
    with pytest.raises(ShapeError, match="one number"):
        tw.numerical_gradient(lambda x: x * 2, X)
