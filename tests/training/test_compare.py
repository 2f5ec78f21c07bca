"""Races: one start, one split, marks that hold, methods that cannot run."""

import builtins
import json
from types import SimpleNamespace

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.training.compare import _marks, compare

RNG = np.random.default_rng(0)
X = np.linspace(-2.0, 2.0, 90)
TABLE = {"x": X, "y": np.sin(2.0 * X) + RNG.normal(scale=0.05, size=90)}
KINDS = {"x": X, "kind": np.where(np.sin(2.0 * X) > 0.0, "up", "down")}
FAST = {"engine": "numpy", "epochs": 25}


@pytest.fixture(scope="module")
def race():
    return compare(TABLE, "y", methods=["adam", "scg", "lm", "br"], **FAST)


def test_all_start_from_the_same_weights_on_the_same_rows(race):
    models = [entry.model for entry in race.entries]
    for model in models[1:]:
        assert model.split == models[0].split and model.network == models[0].network
        assert model.loss == models[0].loss and model.origin.settings["l2"] == 0.0
        for one, other in zip(model.at("init"), models[0].at("init"), strict=True):
            np.testing.assert_array_equal(one["W"], other["W"])


def test_an_entry_is_the_model_that_fitting_alone_gives(race):
    design = tw.Design(network=race["lm"].model.network)
    alone = tw.fit_table(TABLE, "y", method="lm", design=design, **FAST)
    assert alone.equals(race["lm"].model)
    assert race["lm"].iterations == len(alone.history)


def test_marks_are_passed_in_order_and_when_the_history_says(race):
    assert list(race.marks) == sorted(race.marks, reverse=True)
    lowest = min(entry.loss for entry in race.entries)
    assert lowest <= race.marks[-1] <= 1.2 * lowest
    assert any(entry.marks[-1] is not None for entry in race.entries)
    for entry in race.entries:
        reached = [seconds for seconds in entry.marks if seconds is not None]
        assert reached == sorted(reached)
        assert entry.marks == (*reached, *[None] * (len(race.marks) - len(reached)))
        for mark, seconds in zip(race.marks, entry.marks, strict=True):
            first = np.argmax(entry.losses <= mark)
            assert (seconds is None) == (entry.loss > mark)
            assert seconds is None or seconds == entry.model.history["seconds"][first]


@pytest.mark.parametrize(
    ("lowest", "wanted"),
    [
        ((0.02, 0.01, 1e-18), (0.22, 0.047, 0.01, 1e-18)),  # one far below: the others have marks
        ((0.0001,), (0.1, 0.01, 0.001, 0.0001)),
        ((0.01, 0.01), (0.32, 0.1, 0.032, 0.01)),
        ((1.0, 1.0, 0.5, 2.0), (0.85, 0.71, 0.6, 0.5)),  # half of them never got anywhere
    ],
)
def test_marks_lead_to_what_half_of_the_methods_reach(lowest, wanted):
    runs = [SimpleNamespace(losses=np.array([1.0, low])) for low in lowest]
    assert _marks(runs) == pytest.approx(wanted)


def test_marks_of_losses_that_reach_zero_or_never_fall():
    assert _marks([]) == ()
    line = {"x": X, "y": 2.0 * X}
    race = compare(line, "y", methods=["lm"], design=tw.Design(hidden=()), **FAST)
    assert len(race.marks) == 4 and race.marks[-1] < 1e-20


def test_memory_is_seen():
    rows = RNG.normal(size=(40_000, 3))
    table = {"a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2], "y": rows.sum(axis=1)}
    memory = compare(table, "y", methods=["lm"], engine="numpy", epochs=2).entries[0].memory
    assert memory is None or memory > 1_000_000


def test_classes_and_methods_that_cannot():
    race = compare(KINDS, "kind", methods=["lm", "br"], **FAST)
    assert race["lm"].model.origin.figures["training"]["accuracy"] > 0.8
    assert race["br"].model is None and "squared error" in race["br"].failure
    assert race["br"].marks == (None,) * len(race.marks)
    json.dumps(race.to_json()["methods"][1])


def test_a_network_and_weights_of_ones_own():
    net = tw.Network([tw.Dense(1, 3, "tanh"), tw.Dense(3, 1)])
    start = net.initial(9)
    design = tw.Design(network=net)
    race = compare(TABLE, "y", methods=["gd", "lm"], design=design, params=start, **FAST)
    for entry in race.entries:
        np.testing.assert_array_equal(entry.model.at("init")[0]["W"], start[0]["W"])


def test_what_makes_no_sense_is_refused(race):
    with pytest.raises(OptionError, match="Did you mean"):
        compare(TABLE, "y", methods=["adm"])
    with pytest.raises(OptionError, match="nothing to compare"):
        compare(TABLE, "y", methods=[])
    with pytest.raises(OptionError, match="Did you mean 'epochs'"):
        compare(TABLE, "y", epoch=3)
    with pytest.raises(OptionError, match="not among"):
        race["bfgs"]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures(race, tmp_path, ending):
    path = tmp_path / f"race.{ending}"
    race.plot(path)
    begin = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(begin)


def test_pictures_that_cannot_be_drawn(race, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="endings"):
        race.plot(tmp_path / "race.txt")
    find = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"thalweg\[plot\]"):
        race.plot(tmp_path / "race.png")
