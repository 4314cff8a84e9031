import threading
import time

import numpy as np
import pytest

from histossl.slides.prefetch import prefetch


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_however_long_each_takes(threads):
    waits = np.random.default_rng(0).uniform(0, 0.004, 40)

    def read(i):
        time.sleep(waits[i])
        return i * i

    assert list(prefetch(read, range(40), threads)) == [i * i for i in range(40)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_look_ahead_is_bounded(threads):
    asked, taken, most = [0], [0], [0]

    def items():
        for i in range(100):
            asked[0] += 1
            most[0] = max(most[0], asked[0] - taken[0])
            yield i

    for _ in prefetch(lambda i: i, items(), threads):
        taken[0] += 1
    assert taken[0] == 100
    assert threads < most[0] <= 2 * threads + 1


def test_several_threads_read_at_once():
    together = threading.Barrier(3, timeout=20)
    assert list(prefetch(lambda i: together.wait() >= 0, range(6), 3)) == [True] * 6


def test_an_exception_of_a_read_comes_at_its_place():
    def read(i):
        if i == 3:
            raise KeyError(i)
        return i

    results = prefetch(read, range(10), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="3"):
        next(results)


def test_an_exception_of_the_items_is_passed_on():
    def items():
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(prefetch(lambda i: i, items(), 2))


def test_giving_up_early_ends_the_threads():
    before = threading.active_count()
    results = prefetch(lambda i: i, range(1000), 4)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_nothing_to_read_gives_nothing():
    assert list(prefetch(lambda i: i, [], 2)) == []
