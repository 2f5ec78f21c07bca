"""Splits: partitions in the right proportions, whole groups, fair classes, the same for a seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import DataError, OptionError
from thalweg.training.splits import apportion, split_rows

SPECS = {
    "70/15/15": (0.7, 0.15, 0.15),
    "8:2": (0.8, 0.0, 0.2),
    "7:3": (0.7, 0.0, 0.3),
    "80/20": (0.8, 0.0, 0.2),
    "1:9": (0.1, 0.0, 0.9),
    "60/20/20": (0.6, 0.2, 0.2),
    "none": (1.0, 0.0, 0.0),
}
specs = st.sampled_from(sorted(SPECS))
seeds = st.integers(0, 2**32)


def sizes(split):
    return [len(rows) for rows in split.parts().values()]


def check_partition(split, n):
    everything = np.concatenate(list(split.parts().values()))
    np.testing.assert_array_equal(np.sort(everything), np.arange(n))
    assert len(split.train) > 0
    for rows in split.parts().values():
        assert rows.dtype == np.int64
        assert np.all(np.diff(rows) > 0)


@given(n=st.integers(1, 500), spec=specs, seed=seeds)
def test_parts_are_a_partition_in_proportion(n, spec, seed):
    split = split_rows(n, spec, seed)
    check_partition(split, n)
    shares = np.array(SPECS[spec]) if n >= 20 else np.array([1.0, 0, 0])
    assert np.all(np.abs(sizes(split) - n * shares) < 1)


@given(n=st.integers(20, 300), spec=specs, seed=seeds)
def test_a_seed_fixes_the_split(n, spec, seed):
    first, again, other = (split_rows(n, spec, s) for s in (seed, seed, seed + 1))
    for a, b in zip(first.parts().values(), again.parts().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    if spec != "none" and n > 50:
        assert not np.array_equal(first.train, other.train)


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=12).filter(lambda c: sum(c) >= 20),
    spec=specs,
    seed=seeds,
)
def test_classes_keep_their_shares(counts, spec, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(seed).shuffle(labels)
    split = split_rows(len(labels), spec, seed, stratify=labels)
    check_partition(split, len(labels))
    for label, count in enumerate(counts):
        found = [np.sum(labels[rows] == label) for rows in split.parts().values()]
        assert np.all(np.abs(found - count * np.array(SPECS[spec])) <= 1)
        assert found[0] > 0
    if SPECS[spec][0] > 0.5:  # rounding does not add up over classes
        wanted = len(labels) * np.array(SPECS[spec])
        assert np.all(np.abs(sizes(split) - wanted) <= 1.5)


def test_small_classes_train_and_are_mentioned():
    labels = ["common"] * 40 + ["rare"] + ["pair"] * 2
    split = split_rows(43, stratify=labels)
    assert 40 in split.train
    (note,) = split.notes
    assert "'rare' (1: training only)" in note
    assert "'pair' (2: " in note


def test_labels_of_any_kind():
    for labels in (np.arange(40) % 2 == 0, np.array(["a", None] * 20, object), np.arange(40.0) % 4):
        check_partition(split_rows(40, stratify=labels), 40)


@given(
    groups=st.lists(st.integers(0, 8), min_size=20, max_size=120).filter(lambda g: len(set(g)) > 2),
    seed=seeds,
)
def test_groups_stay_whole(groups, seed):
    split = split_rows(len(groups), "group=batch", seed, groups=groups)
    check_partition(split, len(groups))
    sides = [set(np.array(groups)[rows]) for rows in split.parts().values()]
    assert all(sides)
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_groups_of_equal_size_come_near_the_shares():
    groups = np.repeat(np.arange(100), 7)
    assert sizes(split_rows(700, "group=g", groups=groups)) == [490, 105, 105]


def test_few_groups():
    split = split_rows(30, "group=g", groups=["a"] * 20 + ["b"] * 10)
    assert sizes(split) == [20, 10, 0]
    assert split.notes == ("no rows are left for the test part",)
    with pytest.raises(DataError, match="one group only"):
        split_rows(30, "group=g", groups=[1] * 30)
    with pytest.raises(OptionError, match="needs the groups"):
        split_rows(30, "group=g")


@pytest.mark.parametrize(
    ("spec", "counts"),
    [("block", [70, 15, 15]), ("block:8:2", [80, 0, 20]), ("block:60/20/20", [60, 20, 20])],
)
def test_blocks_keep_the_order(spec, counts):
    split = split_rows(100, spec)
    assert sizes(split) == counts
    np.testing.assert_array_equal(np.concatenate(list(split.parts().values())), np.arange(100))
    assert split.seed is None


def test_validation_is_carved_off_the_training_side():
    whole, carved = split_rows(200, "8:2"), split_rows(200, "8:2", validation=0.15)
    assert sizes(whole) == [160, 0, 40]
    assert sizes(carved) == [136, 24, 40]
    np.testing.assert_array_equal(whole.test, carved.test)
    assert sizes(split_rows(200, "none", validation=0.1)) == [180, 20, 0]
    with pytest.raises(OptionError, match="names a validation part"):
        split_rows(200, "70/15/15", validation=0.1)


def test_small_tables_train_on_all_rows():
    split = split_rows(19)
    assert sizes(split) == [19, 0, 0]
    assert split.notes == ("fewer than 20 rows: all of them train",)
    assert split_rows(19, "none").notes == ()


def test_given_rows():
    split = split_rows(6, ([5, 0], [1], [2]))
    assert sizes(split) == [2, 1, 1]
    assert split.train.tolist() == [0, 5]
    assert sizes(split_rows(6, (np.arange(4), []))) == [4, 0, 0]


@pytest.mark.parametrize(
    ("parts", "part"),
    [
        (([0, 1], [1]), "row index 1 is named more than once"),
        (([0, 6],), "two or three"),
        (([0, 6], [1]), "row index 6; there are 6"),
        (([0, -1], [1]), "row index -1"),
        (([], [1]), "training rows are empty"),
        (([0.5], [1]), "not whole numbers"),
        (([[0, 1]], [1]), "two or three lists"),
    ],
)
def test_given_rows_that_do_not_fit(parts, part):
    with pytest.raises(OptionError, match=part):
        split_rows(6, parts)


@pytest.mark.parametrize(
    "spec", ["", "70", "a/b", "0:1", "70/15/10/5", "-1:2", "nan:1", "inf:1", "blocks", "1e999:1"]
)
def test_unknown_specs(spec):
    with pytest.raises(OptionError, match="is not known"):
        split_rows(100, spec)


def test_other_bad_arguments():
    with pytest.raises(OptionError, match="at least 1 row"):
        split_rows(0)
    with pytest.raises(OptionError, match="seed"):
        split_rows(30, seed=-1)
    with pytest.raises(OptionError, match="one class or group per row"):
        split_rows(30, stratify=[1, 2])
    with pytest.raises(OptionError, match="not a share"):
        split_rows(30, "8:2", validation=1.0)


@given(n=st.integers(1, 10**6), parts=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_apportion_adds_up_and_stays_within_one(n, parts):
    shares = np.array([0.1, *parts]) / (0.1 + sum(parts))
    counts = apportion(n, shares)
    assert counts.sum() == n
    assert counts[0] >= 1
    assert np.all(np.abs(counts - n * shares) <= 1)


def test_a_part_that_gets_nothing_is_noted():
    assert split_rows(20, "99/1").notes == ("no rows are left for the test part",)


def test_words():
    assert str(split_rows(30, "none")) == "30 training rows (all rows train)"
    made = str(split_rows(100, "8:2", 7, stratify=[0, 1] * 50))
    assert made == "80 training and 20 test rows (8:2, shuffled within classes, seed 7)"
