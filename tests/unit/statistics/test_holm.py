import numpy as np
import pytest

from histossl.statistics.holm import holm


def test_a_hand_example():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which cannot fall below the one before.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_p_exceeds_one_and_a_test_that_was_not_made_does_not_count():
    assert holm(np.array([0.7, np.nan, 0.02, 0.9])) == pytest.approx([1, np.nan, 0.06, 1], nan_ok=True)
    assert holm(np.array([])).shape == (0,)


def test_the_family_is_held():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 6))
    assert np.mean([holm(row).min() < 0.05 for row in p]) == pytest.approx(0.05, abs=0.012)
