from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import ShapeError
from thalweg.trees import flatten, leaves, map_leaves, paths, unflatten


class Pair(NamedTuple):
    left: object
    right: object


TREES = st.recursive(
    st.integers() | st.none(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.tuples(children, children)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), children, max_size=3)
        | st.builds(Pair, children, children)
    ),
    max_leaves=12,
)


@given(TREES)
def test_apart_and_together(tree):
    found, structure = flatten(tree)
    again = unflatten(structure, found)
    assert again == tree
    assert type(again) is type(tree)
    assert structure.count == len(found) == len(paths(structure)) == len(leaves(tree))
    assert flatten(map_leaves(lambda x: -x, tree)) == ([-x for x in found], structure)


@given(TREES)
def test_paths_are_python(tree):
    found, structure = flatten(tree)
    for path, leaf in zip(paths(structure, "tree"), found, strict=True):
        assert eval(path, {"tree": tree}) == leaf


def test_structures_must_agree():
    with pytest.raises(ShapeError, match="different structure"):
        map_leaves(lambda a, b: a, {"a": 1}, {"b": 1})
    with pytest.raises(ShapeError, match="2 leaves for a structure of 1"):
        unflatten(flatten(1.0)[1], [1.0, 2.0])
