"""Histories: best epoch, columns, records."""

import json
import math

import numpy as np
import pytest

from thalweg.errors import ModelFileError, OptionError
from thalweg.training.history import Epoch, History


def made(losses, sign=1.0):
    history = History()
    for number, loss in enumerate(losses, start=1):
        history.add(Epoch(number, 0.5, loss), sign)
    return history


def test_best_epoch():
    assert made([3.0, 1.0, 2.0, 1.0]).best_epoch == 2
    assert made([math.inf, math.nan]).best_epoch == 2  # the second watches the training loss
    assert made([-3.0, -1.0, -2.0], sign=-1.0).best_epoch == 2
    assert History().best is None and repr(History()) == "History of 0 epochs"


def test_columns():
    history = made([3.0, 1.0])
    assert history["validation_loss"].tolist() == [3.0, 1.0]
    assert history.columns()["epoch"].tolist() == [1.0, 2.0]
    assert [e.epoch for e in history] == [1, 2] and len(history) == 2
    with pytest.raises(OptionError, match="Did you mean 'validation_loss'"):
        history["validation_los"]


def test_records_come_back():
    history = made([3.0, math.nan, 1.0])
    found = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    assert found.best_epoch == history.best_epoch
    for name, column in history.columns().items():
        assert np.array_equal(found[name], column, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [{"best_epoch": 9}, {"best_epoch": 1.5}, {"seconds": [1]}, {"seconds": "no"}, {"x": 1}],
)
def test_edited_records_are_refused(change):
    with pytest.raises(ModelFileError):
        History.from_json({**made([3.0, 1.0]).to_json(), **change})
