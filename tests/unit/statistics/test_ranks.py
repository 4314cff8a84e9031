import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from histossl.statistics.ranks import alike, critical_distance, mean_ranks


@pytest.mark.parametrize(
    ("methods", "level", "q"),
    # Demšar 2006, table 5(a).
    [(2, 0.95, 1.960), (5, 0.95, 2.728), (10, 0.95, 3.164), (4, 0.90, 2.291), (10, 0.90, 2.920)],
)
def test_the_critical_distance_is_that_of_demsars_table(methods, level, q):
    expected = q * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_distance(methods, 14, level) == pytest.approx(expected, abs=1e-3)


def test_mean_ranks_give_friedmans_statistic():
    quality = np.random.default_rng(0).normal(size=(9, 4))
    ranks = mean_ranks(quality)
    statistic = 12 * 9 / (4 * 5) * ((ranks**2).sum() - 4 * 25 / 4)
    assert statistic == pytest.approx(friedmanchisquare(*quality.T).statistic)


def test_the_best_has_rank_1_and_ties_share():
    assert mean_ranks(np.array([[0.9, 0.5, 0.5], [0.8, 0.1, 0.9]])).tolist() == [1.5, 2.75, 1.75]


def test_groups_are_the_largest_of_which_no_two_differ():
    assert alike(np.array([1.0, 1.5, 3.0, 3.4, 6.0]), 2.0) == [(0, 1), (1, 3)]
    assert alike(np.array([3.0, 1.0, 2.0]), 5.0) == [(0, 2)]
    assert alike(np.array([1.0, 3.0]), 2.0) == []
