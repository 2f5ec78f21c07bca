"""The rule that tells regression from classification, and classes that keep their type."""

import numpy as np
import pytest

from thalweg.training.labels import ClassLabels, decide_task
from thalweg.training.tables import read_table


@pytest.mark.parametrize(
    ("column", "task", "reason"),
    [
        (np.array(["a", "b"], object), "classification", "text target with 2 different values"),
        (np.array([True, False]), "classification", "true/false target"),
        (np.array([0.5, 1.0, 2.0]), "regression", "fractions"),
        (np.array([0.0, 1.0, 1.0]), "classification", "integer target with 2 different"),
        (np.arange(214.0), "regression", "integer target with 214 different values"),
        (np.arange(200.0) % 20, "classification", "20 different values in 200 rows"),
        (np.arange(199.0) % 20, "regression", "20 different values in only 199 rows"),
        (np.arange(2100.0) % 21, "regression", "21 different values"),
        (np.array([1.0, np.nan, 2.0]), "classification", "2 different"),
        (np.array(["1.5", "2.5", "3", "x", "4", "5"], object), "regression", "fractions"),
    ],
)
def test_task_rule(column, task, reason):
    found, sentence = decide_task(column)
    assert found == task
    assert reason in sentence
    assert sentence.endswith(task)


def test_a_class_is_the_same_in_every_type():
    labels = ClassLabels.of(read_table({"y": [10, 9, 10]})["y"])
    assert labels.values == (9, 10)
    for values in ([9, 10], [9.0, 10.0], ["9", "10"]):
        assert labels.indices(read_table({"y": values}), "y").tolist() == [0, 1]


def test_numbers_too_large_for_integers_stay_exact():
    labels = ClassLabels.of(np.array([1e300, 1.0]))
    assert labels.decode(np.array([1])).tolist() == [1e300]
    assert ClassLabels.from_json(labels.to_json()) == labels
