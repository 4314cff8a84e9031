import itertools

import numpy as np
import pytest

from histossl.statistics import delong, metrics
from histossl.statistics.bootstrap import cluster_bootstrap

# Albumin, total protein, K-G score, and whether surgery helped, of the 43 patients without missing values whom DeLong,
# DeLong and Clarke-Pearson (1988) report on, as in the SAS/STAT User's Guide, LOGISTIC procedure, "Comparing Receiver
# Operating Characteristic Curves".
OVARIAN = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0   3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0   1.6 5.6  5 1
3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1   4.1 6.6  5 1   3.6 5.7  5 1   4.3 7.0  4 1   3.6 6.7  4 0
2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1   3.8 6.8  7 1   3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1
3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1   3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0
3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1   3.5 6.2  5 1   2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1
3.3 5.7  6 1   3.7 6.9  5 1   3.6 6.6  5 1
"""


def both_ways(scores):
    """Scores of two classes that say the same."""
    return np.column_stack([-scores, scores])


@pytest.fixture
def ovarian():
    albumin, protein, score, helped = np.array(OVARIAN.split(), float).reshape(-1, 4).T
    return helped.astype(int), {"albumin": albumin, "protein": protein, "score": 10 - score}


@pytest.mark.parametrize(
    ("test", "auc", "error"), [("albumin", 0.7366, 0.0927), ("score", 0.7258, 0.1028), ("protein", 0.6478, 0.1000)]
)
def test_areas_and_standard_errors_are_those_published(ovarian, test, auc, error):
    labels, tests = ovarian
    value, added = delong.influences(labels, both_ways(tests[test]))
    variance, _ = delong.variance(added, labels, np.arange(43))
    assert (round(value, 4), round(np.sqrt(variance), 4)) == (auc, error)


@pytest.mark.parametrize(
    ("test", "difference", "error", "chi_square"),
    [("albumin", 0.0108, 0.0953, 0.0127), ("protein", -0.0780, 0.1046, 0.5554)],
)
def test_differences_are_those_published(ovarian, test, difference, error, chi_square):
    labels, tests = ovarian
    tested = delong.compare(labels, both_ways(tests[test]), both_ways(tests["score"]), np.arange(43))
    assert (round(tested.difference, 4), round(tested.standard_error, 4)) == (difference, error)
    assert (tested.difference / tested.standard_error) ** 2 == pytest.approx(chi_square, abs=5e-5)


def obuchowski(positive, scores, clusters):
    """Obuchowski's (1997) variance of one AUC, row by row."""
    found, rest = np.flatnonzero(positive), np.flatnonzero(~positive)
    wins = np.array([[(scores[i] > scores[j]) + (scores[i] == scores[j]) / 2 for j in rest] for i in found])
    auc, m, n = wins.mean(), len(found), len(rest)
    names = np.unique(clusters)
    tens, ones = [], []
    for name in names:
        of_positive, of_negative = wins.mean(axis=1)[clusters[found] == name], wins.mean(axis=0)[clusters[rest] == name]
        tens.append((of_positive - auc).sum())
        ones.append((of_negative - auc).sum())
    count, with_positive, with_negative = len(names), len(set(clusters[found])), len(set(clusters[rest]))
    s10 = with_positive / ((with_positive - 1) * m) * np.sum(np.square(tens))
    s01 = with_negative / ((with_negative - 1) * n) * np.sum(np.square(ones))
    s11 = count / (count - 1) * np.dot(tens, ones)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


def test_rows_of_a_patient_are_a_cluster_as_obuchowski_has_it():
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 15, 60)
    labels, scores = (rng.random(60) < 0.4) * 1, np.round(rng.normal(size=60) + rng.normal(size=15)[clusters], 1)
    _, added = delong.influences(labels, both_ways(scores))
    assert delong.variance(added, labels, clusters)[0] == pytest.approx(obuchowski(labels == 1, scores, clusters))


def test_the_value_is_the_macro_auc_within_strata_and_what_rows_add_cancels():
    rng = np.random.default_rng(4)
    labels, scores, strata = rng.integers(0, 3, 90), np.round(rng.random((90, 3)), 1), rng.integers(0, 4, 90)
    value, added = delong.influences(labels, scores, strata)
    assert value == pytest.approx(metrics.class_aucs(labels, scores, metrics.ones(90), strata).mean())
    assert added.sum() == pytest.approx(0, abs=1e-12)


def test_what_a_row_adds_is_how_the_auc_moves_with_its_weight():
    rng = np.random.default_rng(5)
    labels, scores, strata = rng.integers(0, 3, 60), np.round(rng.random((60, 3)), 1), rng.integers(0, 2, 60)
    _, added = delong.influences(labels, scores, strata)
    step = 1e-6
    heavier = metrics.ones(60) + step * np.eye(60)
    value = metrics.class_aucs(labels, scores, metrics.ones(60), strata).mean()
    moved = (metrics.class_aucs(labels, scores, heavier, strata).mean(axis=1) - value) / step
    np.testing.assert_allclose(added, moved, atol=1e-6)


def test_the_standard_error_is_that_of_the_cluster_bootstrap():
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(250), 2)
    labels, strata = rng.integers(0, 3, 250)[clusters], rng.integers(0, 5, 250)[clusters]
    own, patient = np.eye(3)[labels], rng.normal(size=(250, 3))[clusters]
    first, second = (own + patient + rng.normal(size=(500, 3)) + strata[:, None] for _ in range(2))

    def macro(weights):
        return np.column_stack([metrics.class_aucs(labels, s, weights, strata).mean(axis=1) for s in (first, second)])

    samples = cluster_bootstrap(macro, [f"{c:03d}" for c in clusters], 2000, 0)
    tested = delong.compare(labels, first, second, clusters, strata)
    # The bootstrap of a strong patient effect within five small strata comes out a few per cent wider.
    assert tested.standard_error == pytest.approx((samples[:, 0] - samples[:, 1]).std(), rel=0.08)
    alone = delong.compare(labels, first, second, np.arange(500), strata)
    variances = [
        delong.variance(delong.influences(labels, first, strata)[1], labels, c)[0] for c in (clusters, np.arange(500))
    ]
    assert variances[0] > 1.3 * variances[1]
    assert alone.difference == tested.difference


def test_only_ranks_within_a_stratum_matter():
    rng = np.random.default_rng(7)
    labels, scores, strata = rng.integers(0, 2, 60), both_ways(rng.normal(size=60)), rng.integers(0, 3, 60)
    moved = scores * (1 + strata[:, None]) + strata[:, None]
    for one, other in itertools.pairwise([delong.influences(labels, s, strata)[1] for s in (scores, moved)]):
        np.testing.assert_allclose(one, other)


def test_twins_do_not_differ_and_one_patient_of_a_class_tells_nothing():
    rng = np.random.default_rng(8)
    labels, scores = np.arange(40) % 2, both_ways(rng.normal(size=40))
    assert delong.compare(labels, scores, scores, np.arange(40)).p == 1
    single = (np.arange(40) == 0) * 1
    assert np.isnan(delong.compare(single, scores, both_ways(rng.normal(size=40)), np.arange(40)).p)


def test_a_perfect_method_beats_a_constant_one_though_neither_varies():
    labels = np.arange(8) % 2
    tested = delong.compare(labels, both_ways(labels.astype(float)), both_ways(np.zeros(8)), np.arange(8))
    assert (tested.difference, tested.standard_error) == (0.5, 0)
    assert tested.p == 2.0**-6


def test_without_a_pair_there_is_no_area():
    with pytest.raises(ValueError, match="no class"):
        delong.influences(np.zeros(4, int), both_ways(np.arange(4.0)))
