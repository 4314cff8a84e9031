import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    mean_squared_error,
    roc_auc_score,
)

from histossl.statistics import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def resamples(rng):
    """Weights of twenty bootstrap resamples of sixty rows; the first is the sample itself."""
    return np.vstack([np.ones(60), rng.multinomial(60, np.full(60, 1 / 60), size=19)]).astype(float)


@pytest.fixture
def classified(rng):
    """Class indices and coarse probabilities, full of ties as a KNN gives them."""
    labels = rng.integers(0, 4, 60)
    votes = np.array([rng.multinomial(5, np.where(np.arange(4) == label, 0.55, 0.15)) for label in labels])
    return labels, votes / 5


@pytest.fixture
def regressed(rng):
    """Targets and predictions with ties in each and in both."""
    target = rng.integers(0, 8, 60).astype(float)
    return target, np.round(target + rng.normal(size=60) * 3)


def repeated(weights, *arrays):
    """The arrays with each row repeated as often as it was drawn."""
    return [np.repeat(array, weights.astype(int), axis=0) for array in arrays]


def test_class_aucs_equal_scikit_learn_on_every_resample(classified, resamples):
    aucs = metrics.class_aucs(*classified, resamples)
    for weights, row in zip(resamples, aucs, strict=True):
        labels, probabilities = repeated(weights, *classified)
        assert row.mean() == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"))
        for index in range(4):
            assert row[index] == pytest.approx(roc_auc_score(labels == index, probabilities[:, index]))


def test_auc_within_strata_counts_only_pairs_of_one_stratum(rng, resamples):
    positive, scores, strata = rng.random(60) < 0.4, np.round(rng.random(60), 1), rng.integers(0, 3, 60)
    for weights, value in zip(resamples, metrics.auc(positive, scores, resamples, strata), strict=True):
        p, s, t = repeated(weights, positive, scores, strata)
        pairs = [
            (s[i] > s[j]) + 0.5 * (s[i] == s[j])
            for i, j in itertools.product(np.flatnonzero(p), np.flatnonzero(~p))
            if t[i] == t[j]
        ]
        assert value == pytest.approx(np.mean(pairs))


def test_auc_does_not_change_when_one_strata_scores_are_shifted(rng):
    positive, scores, strata = rng.random(60) < 0.5, rng.random(60), np.arange(60) % 2
    moved = scores + 10 * strata
    once = metrics.ones(60)
    assert metrics.auc(positive, moved, once, strata) == metrics.auc(positive, scores, once, strata)
    assert metrics.auc(positive, moved, once) != metrics.auc(positive, scores, once)


def test_auc_without_a_pair_is_nan():
    assert np.isnan(metrics.auc(np.array([True, True]), np.array([0.1, 0.2]), metrics.ones(2)))


def test_recalls_give_scikit_learns_balanced_accuracy(classified, resamples):
    for weights, row in zip(resamples, metrics.recalls(*classified, resamples), strict=True):
        labels, probabilities = repeated(weights, *classified)
        assert row.mean() == pytest.approx(balanced_accuracy_score(labels, probabilities.argmax(axis=1)))


def test_f1_scores_equal_scikit_learn_on_every_resample(classified, resamples):
    for weights, row in zip(resamples, metrics.f1_scores(*classified, resamples), strict=True):
        labels, probabilities = repeated(weights, *classified)
        assert row.mean() == pytest.approx(f1_score(labels, probabilities.argmax(axis=1), average="macro"))


def test_f1_of_a_class_without_rows_is_nan_unless_it_is_predicted():
    labels, probabilities = np.array([0, 1]), np.array([[0.9, 0.1, 0, 0], [0, 0.1, 0.9, 0]])
    np.testing.assert_allclose(metrics.f1_scores(labels, probabilities, metrics.ones(2))[0], [1, 0, 0, np.nan])


def test_average_precisions_equal_scikit_learn_on_every_resample(classified, resamples):
    precisions = metrics.class_average_precisions(*classified, resamples)
    for weights, row in zip(resamples, precisions, strict=True):
        labels, probabilities = repeated(weights, *classified)
        for index in range(4):
            assert row[index] == pytest.approx(average_precision_score(labels == index, probabilities[:, index]))


def test_average_precision_within_strata_is_their_mean_by_positives(rng, resamples):
    positive, scores, strata = rng.random(60) < 0.4, np.round(rng.random(60), 1), rng.integers(0, 3, 60)
    precisions = metrics.average_precision(positive, scores, resamples, strata)
    for weights, value in zip(resamples, precisions, strict=True):
        p, s, t = repeated(weights, positive, scores, strata)
        inside = [(p[t == k], s[t == k]) for k in range(3) if p[t == k].any()]
        parts = [(found.sum(), average_precision_score(found, of_found)) for found, of_found in inside]
        assert value == pytest.approx(sum(count * part for count, part in parts) / p.sum())


def test_average_precision_without_a_positive_is_nan():
    assert np.isnan(metrics.average_precision(np.array([False, False]), np.array([0.1, 0.2]), metrics.ones(2)))


def test_class_means_are_those_of_the_rows_drawn(rng, resamples):
    labels, values = rng.integers(0, 3, 60), rng.random(60)
    for weights, row in zip(resamples, metrics.class_means(labels, values, resamples, 4), strict=True):
        drawn, of_drawn = repeated(weights, labels, values)
        assert row[:3] == pytest.approx([of_drawn[drawn == label].mean() for label in range(3)])
        assert np.isnan(row[3])


def test_regression_figures_equal_scipy_and_scikit_learn_on_every_resample(regressed, resamples):
    concordances = metrics.concordance(*regressed, resamples, block=7)
    ours = np.column_stack(
        [
            metrics.mean_squared_error(*regressed, resamples),
            metrics.spearman(*regressed, resamples),
            metrics.kendall(*regressed, resamples, concordances),
            metrics.prediction_probability(regressed[0], resamples, concordances),
        ]
    )
    for weights, row in zip(resamples, ours, strict=True):
        target, prediction = repeated(weights, *regressed)
        reference = [
            mean_squared_error(target, prediction),
            stats.spearmanr(target, prediction).statistic,
            stats.kendalltau(target, prediction).statistic,
            (1 + stats.somersd(target, prediction).statistic) / 2,
        ]
        np.testing.assert_allclose(row, reference, rtol=1e-10)


def test_prediction_probability_is_the_share_of_pairs_ordered_rightly(regressed):
    target, prediction = regressed
    concordant = discordant = tied = 0
    for i, j in itertools.combinations(range(60), 2):
        if target[i] != target[j]:
            product = (target[i] - target[j]) * (prediction[i] - prediction[j])
            concordant, discordant, tied = concordant + (product > 0), discordant + (product < 0), tied + (product == 0)
    assert tied > 0
    once = metrics.ones(60)
    ours = metrics.prediction_probability(target, once, metrics.concordance(target, prediction, once))
    assert ours[0] == pytest.approx((concordant + tied / 2) / (concordant + discordant + tied))


def test_a_constant_prediction_is_a_guess():
    target, constant, once = np.arange(9.0), np.ones(9), metrics.ones(9)
    nothing = metrics.concordance(target, constant, once)
    assert metrics.prediction_probability(target, once, nothing)[0] == 0.5
    assert np.isnan(metrics.kendall(target, constant, once, nothing)[0])
    assert np.isnan(metrics.spearman(target, constant, once)[0])
