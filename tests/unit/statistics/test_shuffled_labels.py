"""Shuffled labels give no signal; benchmarks/shuffled_labels.py deals them 200 times."""

import numpy as np
import pytest
from benchmarks.shared_training import NOISE, Design, draw, judge_pair
from benchmarks.shuffled_labels import draw_cohort, head_settings, shuffle

from histossl.statistics import delong


def test_a_drawn_cohort_has_patients_with_slides_that_both_encoders_see():
    cohort = draw_cohort(6, seed=1)
    again = draw_cohort(6, seed=1)
    assert len(set(cohort.patients.values())) == 6
    assert {name: bags["s000-0"].features.shape[1] for name, bags in cohort.bags.items()} == {"narrow": 32, "wide": 64}
    for name, bags in cohort.bags.items():
        assert set(bags) == set(cohort.patients)
        assert all(np.array_equal(bag.features, again.bags[name][slide].features) for slide, bag in bags.items())


@pytest.mark.slow
def test_shuffled_labels_are_at_most_seldom_a_signal():
    cohort, settings = draw_cohort(24, seed=1), head_settings(epochs=3)
    outcomes = [shuffle(number, cohort, 3, settings, resamples=200) for number in range(8)]
    aucs = np.array([outcome.aucs for outcome in outcomes])
    # Of 16 AUCs, two and two of the same labels: 0.5 within three standard errors of the widest spread they can have.
    assert np.abs(aucs.mean(axis=0) - 0.5).max() < 3 * 0.17 / 8**0.5
    assert sum(map(sum, (outcome.contains for outcome in outcomes))) >= 11
    assert sum(outcome.p < 0.05 for outcome in outcomes) <= 3
    assert shuffle(3, cohort, 3, settings, resamples=200) == outcomes[3]


def test_labels_that_train_and_test_in_turn_double_the_variance():
    """Without a signal the AUC of folds varies with more than DeLong's variance, up to twice."""
    rng, design = np.random.default_rng(1), Design((60, 5), 1.0, 0.0)
    drawn = [draw(design, NOISE, rng) for _ in range(250)]
    influences = [delong.influences(data.labels, data.scores[0], data.fold) for data in drawn]
    variances = [
        delong.variance(added, data.labels, np.arange(60))[0]
        for data, (_, added) in zip(drawn, influences, strict=True)
    ]
    assert 1.3 < np.var([auc for auc, _ in influences]) / np.mean(variances) < 2.6
    found = np.array([judge_pair(data, 1.0) for data in drawn])
    assert (found[:, 3] < 0.05).mean() < (found[:, 2] < 0.05).mean()
    assert (found[:, 3] < 0.05).mean() < 0.07
