import json
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DataError, OptionError
from thalweg.explanation.by_hand import parse_exercise

NETWORK = """
x = [[1.0, 2.0]]
t = [[1.0]]
learning_rate = 0.5
{more}
[[layers]]
W = [[0.5, -0.25]]
b = [0.1]
"""


def test_updates_follow_gradient_descent_by_hand() -> None:
    exercise = parse_exercise(NETWORK.format(more="updates = 2"))
    w, b, x, t = np.array([0.5, -0.25]), 0.1, np.array([1.0, 2.0]), 1.0
    for step in (1, 2, 3):
        told = exercise.told(step)
        assert np.allclose(told.passes.params[0]["W"][0], w, rtol=1e-13)
        assert told.passes.params[0]["b"][0] == pytest.approx(b, rel=1e-13)
        slope = -2 * (t - (w @ x + b))
        w, b = w - 0.5 * slope * x, b - 0.5 * slope
    updates = [s for s in exercise.explanation().sections if s.kind == "update"]
    assert len(updates) == 2


def test_optimiser_state_is_carried_from_update_to_update() -> None:
    exercise = parse_exercise(NETWORK.format(more='rule = "momentum"'))
    first, second = exercise.told(1), exercise.told(2)
    velocity = first.update().step("v⁺ of W[1]").value
    assert np.array_equal(second.update().step("v of W[1]").value, velocity)
    assert second.update_step.step == 2


def test_json_and_toml_say_the_same(tmp_path: Path, example) -> None:
    import tomllib

    source = Path(__file__).parents[2] / "examples/explain/xor.toml"
    path = tmp_path / "xor.json"
    path.write_text(json.dumps(tomllib.loads(source.read_text(encoding="utf-8"))))
    one, other = tw.read_exercise(path), example("xor")
    assert one.explanation().write("terminal", "en") == other.explanation().write("terminal", "en")
    assert one.title["ko"] == "XOR"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "exercise: "),
        ("lss = 1", "unknown key 'lss'. Did you mean 'loss'"),
        ("x = [[1]]\nt = [[1]]", "'layers' is missing"),
        ("x = [[1]]\nt = [[1]]\nlayers = 3", "must be a list"),
        ("x = [[1]]\nt = [[1]]\n[[layers]]\nb = [1]", "layer 1 has no W"),
        ("x = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1], [1, 2]]", "layer 1: W is no table"),
        ("x = [[1]]\nt = [[1]]\n[[layers]]\nW = [[nan]]", "not finite"),
        ("x = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1]]\nbias = 1", "unknown key 'bias'"),
        ("x = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1]]\nactivation = 'tahn'", "'tanh'"),
        ("rule = 'adm'\nx = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1]]", "'adam'"),
        ("updates = -1\nx = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1]]", "updates is -1"),
        ("loss = 'msee'\nx = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1]]", "'mse'"),
        ("formula = 'w*x'\nvalues = {w = 'a'}", "values.w is 'a'"),
        ("formula = 3", "formula must be text"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_exercise(text)
    assert message in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        tw.read_exercise(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="UTF-8"):
        tw.read_exercise(bad)


def test_a_formula_has_no_updates(example) -> None:
    with pytest.raises(OptionError, match="formula"):
        example("line").told()
    with pytest.raises(OptionError, match="count from 1"):
        example("xor").told(0)
