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
    velocity = first.update().step("v⁺(W[1])").value
    assert np.array_equal(second.update().step("v(W[1])").value, velocity)
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


@pytest.mark.parametrize("rule", ["lm", "br", "bfgs", "newton", "scg"])
def test_updates_of_solvers_are_those_of_training(rule: str) -> None:
    """Three steps typed in by hand lead where training with the same method leads."""
    x, t = [[0.0], [0.5], [1.0], [1.5], [2.0]], [[0.0], [0.3], [1.0], [1.1], [0.4]]
    said = (
        f"rule = '{rule}'\nupdates = 3\nx = {x}\nt = {t}\n"
        "[[layers]]\nactivation = 'tanh'\nW = [[0.5], [-1.0]]\nb = [0.1, 0.2]\n"
        "[[layers]]\nW = [[1.0, 0.5]]\nb = [0.0]"
    )
    exercise = tw.parse_exercise(said)
    start, end = exercise.told(1).passes.params, exercise.at("end").passes.params
    model = tw.fit(
        exercise.network, x, t, method=rule, epochs=3, params=start, split="none", scale="none",
        l2=0.0, snapshots=[3],
    )  # fmt: skip
    for own, trained in zip(end, model.at("epoch=3"), strict=True):
        for kind in own:
            assert np.allclose(own[kind], trained[kind], rtol=1e-9, atol=1e-12)
    assert rule in ("br",) or exercise.told(4).passes.value < exercise.told(1).passes.value
    assert len(exercise.explanation().sections) > 6


def test_solvers_take_no_learning_rate_and_are_suggested() -> None:
    rest = "x = [[1]]\nt = [[1]]\n[[layers]]\nW = [[1]]"
    with pytest.raises(DataError, match="lm has no learning_rate"):
        tw.parse_exercise(f"rule = 'lm'\nlearning_rate = 0.1\n{rest}")
    with pytest.raises(DataError, match="Did you mean 'lbfgs'"):
        tw.parse_exercise(f"rule = 'lbfg'\n{rest}")
