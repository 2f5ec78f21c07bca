"""`compile` called in every way a person may call it: the values of NumPy, or a clear error."""

import functools
import pickle

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import OptionError, ShapeError, TracingError

A = np.arange(12.0).reshape(3, 4)


def f(x):
    return tnp.tanh(x) * 2.0 + x


READ_ONLY = A.copy()
READ_ONLY.setflags(write=False)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros(0),
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        A[::2, ::-1],
        np.asfortranarray(A),
        A.T,
        READ_ONLY,
        np.broadcast_to(np.arange(4.0), (3, 4)),
        np.arange(5),
        np.arange(5, dtype=np.uint64),
        np.arange(3, dtype=">f8"),
        np.array([np.nan, np.inf, -np.inf]),
        np.array(1.5),
        1.5,
        2,
        np.float32(1.5),
        np.int64(3),
    ],
    ids=repr,
)
def test_every_kind_of_array(x):
    compiled, wanted = tw.compile(f), f(x)
    for _ in range(2):  # the second call takes the quick way
        found = compiled(x)
        assert np.shape(found) == np.shape(wanted) and found.dtype == wanted.dtype
        assert np.allclose(found, wanted, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float16", "longdouble", "int8", "uint8", "bool"])
def test_numbers_that_graphs_do_not_have_are_widened(dtype):
    x = np.array([1, 0, 1]).astype(dtype)
    found = tw.compile(f)(x)
    assert found.dtype == (np.float32 if dtype == "float16" else np.float64)
    assert np.allclose(found, f(x.astype(float)), rtol=1e-6)


def test_subclasses_are_arrays():
    class Own(np.ndarray):
        pass

    assert type(tw.compile(f)(A.view(Own))) is np.ndarray
    assert np.allclose(tw.compile(f)(A.view(Own)), f(A))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ("abc", "not str 'abc'"),
        (np.array([1.0], object), "dtype=object"),
        (np.array([1j]), "complex128 cannot be traced"),
        (np.array(["2020-01-01"], "datetime64[D]"), "cannot be traced"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "fill it first"),
        (np.array([2**63], np.uint64), "2\\*\\*63 and more"),
    ],
    ids=repr,
)
def test_what_is_no_array_of_numbers(x, said):
    with pytest.raises(ShapeError, match=said):
        tw.compile(f)(x)


def test_large_unsigned_integers_are_refused_also_in_later_calls():
    double = tw.compile(lambda x: x * 2)
    assert double(np.array([7], np.uint64)) == 14
    with pytest.raises(ShapeError, match="2\\*\\*63"):
        double(np.array([2**63], np.uint64))


def test_a_list_is_a_list_of_arguments():
    assert tw.compile(lambda x: x[0] * x[1])([2.0, A])[1, 0] == 8.0
    with pytest.raises(TracingError, match=r"first thalweg\.numpy\.array"):
        tw.compile(f)([1.0, 2.0])
    assert np.allclose(tw.compile(lambda x: f(tnp.array(x)))([1.0, 2.0]), f(np.array([1.0, 2.0])))


# -- functions -------------------------------------------------------------------------------------
class Scale:
    k = 3.0

    def method(self, x):
        return x * self.k

    @tw.compile
    def compiled(self, x):
        return x * self.k

    def __call__(self, x):
        return x * 5.0


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (Scale().method, A * 3.0),
        (Scale(), A * 5.0),
        (functools.partial(lambda a, x: a * x, 2.0), A * 2.0),
        (functools.partial(lambda x, a: a * x, a=2.0), A * 2.0),
        (np.tanh, np.tanh(A)),
        (abs, A),
        (tw.compile(f), f(A)),
        (lambda x: tw.compile(lambda y: y * A)(x) + x, A * A + A),
    ],
    ids=["method", "object", "partial", "named partial", "ufunc", "builtin", "compiled", "inner"],
)
def test_every_kind_of_function(function, wanted):
    assert np.allclose(tw.compile(function)(A), wanted)


def test_a_method_is_given_its_object_which_is_no_array():
    with pytest.raises(ShapeError, match="not Scale"):
        Scale().compiled(A)


def test_only_functions():
    with pytest.raises(OptionError, match="takes a function, not int 3"):
        tw.compile(3)


def test_arguments_by_name():
    power = tw.compile(lambda x, a=2.0, *, b=1.0, mode="plain": x * a + b * (mode == "plain"))
    assert power(A, a=3.0)[1, 0] == 13.0
    assert power(A, b=5.0)[1, 0] == 13.0
    assert power(x=A, b=5.0, a=1.0)[1, 0] == 9.0
    assert tw.compile(lambda **given: given["p"] - given["q"])(q=1.0, p=3.0) == 2.0
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        power(a=1.0)


def test_by_name_alone_it_is_compiled_once_and_shown():
    runs = []

    def traced(*, x):
        runs.append(x)
        return x + 1.0

    compiled = tw.compile(traced)
    assert [compiled(x=float(k)) for k in range(3)] == [1.0, 2.0, 3.0]
    assert len(runs) == 1 and "add" in compiled.show("graph")


def test_results_are_trees():
    found = tw.compile(lambda x: {"a": x * 2.0, "b": (x, [x.sum()]), 3: 1.0})(A)
    assert found["b"][1][0] == A.sum() and found[3] == 1.0
    assert tw.compile(lambda x: ())(A) == ()
    for kind, bad in (("str", "a"), ("set", {1}), ("generator", (i for i in "ab"))):
        with pytest.raises(TracingError, match=f"returned {kind}"):
            tw.compile(lambda x, bad=bad: bad)(A)


def test_results_share_nothing():
    kept = np.ones(4)
    same, twice, constant = tw.compile(lambda x: (x, (x * 2.0, x * 2.0), kept))(A)
    arrays = [A, same, *twice, constant, kept]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    constant[:] = 5.0
    assert tw.compile(lambda x: kept)(1.0)[0] == 1.0


def test_what_is_closed_over_is_fixed_at_the_first_call():
    kept = np.ones(4)
    compiled = tw.compile(lambda x: x + kept)
    before = compiled(A)
    kept[:] = 100.0
    assert np.array_equal(compiled(A), before)


def test_other_processes_may_have_it():
    compiled = tw.compile(np.tanh)
    assert compiled(1.0) == pickle.loads(pickle.dumps(compiled))(1.0)
    assert repr(compiled) == "compile(tanh)"


@pytest.mark.parametrize("dtype", ["int64", "int32", "float64", "float32"])
def test_quotients_rounded_down(dtype):
    x = np.arange(-7, 8).astype(dtype)[:, None]
    y = np.array([-3, -1, 1, 2, 5]).astype(dtype)
    for divided in (
        lambda x, y: x // y,
        lambda x, y: divmod(x, y)[1],
        lambda x, y: divmod(5, y)[0],
    ):
        found, wanted = tw.compile(divided)(x, y), divided(x, y)
        assert found.dtype == wanted.dtype and np.array_equal(found, wanted)
    if dtype.startswith("int"):
        assert np.array_equal(tw.compile(lambda x: x // 0)(x), np.zeros_like(x))


def test_quotients_of_integers_that_no_float_can_hold():
    top = np.iinfo(np.int64).max
    random = np.random.default_rng(4)
    x = np.array([top, -top, 2**53 + 1, *random.integers(-top, top, 50)])[:, None]
    y = np.array([1, -1, 2, 3, -7, 10**9 + 7, 2**53 + 1, top, -top])
    divided = tw.compile(lambda x, y: x // y)
    assert np.array_equal(divided(x, y), x // y)


@pytest.mark.parametrize("stage", ["graph", "loops", "llvm", "asm"])
def test_every_stage_of_every_kind_of_argument(stage):
    for x in (1.0, A, np.zeros(0), np.arange(3), A.astype("float32")):
        assert isinstance(tw.compile(f).show(stage, x), str)
