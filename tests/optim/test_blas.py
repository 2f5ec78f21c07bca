"""BLAS on one thread, and as it was afterwards."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from thalweg.optim.blas import single_threaded_blas


def threads():
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


@pytest.mark.parametrize("count", [1, 2])
def test_one_thread_within_and_the_former_number_afterwards(count):
    with single_threaded_blas():  # loads what there is
        pass
    with threadpool_limits(count, user_api="blas"):
        before = threads()
        with single_threaded_blas():
            assert set(threads()) == {1}
            with single_threaded_blas():
                assert set(threads()) == {1}
            assert set(threads()) == {1}
        assert threads() == before
        with pytest.raises(KeyError), single_threaded_blas():
            raise KeyError
        assert threads() == before
