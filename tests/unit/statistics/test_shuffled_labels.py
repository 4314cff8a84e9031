"""Shuffled labels give no signal; benchmarks/shuffled_labels.py deals them 200 times."""

import numpy as np
import pytest
from benchmarks.shared_training import draw
from benchmarks.shuffled_labels import draw_cohort, head_settings, shuffle


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
    rng = np.random.default_rng(1)
    found = np.array([draw(60, 5, 0.0, rng) for _ in range(250)])
    assert 1.3 < found[:, 0].var() / found[:, 1].mean() < 2.6
    assert (found[:, 5] < 0.05).mean() < (found[:, 4] < 0.05).mean()
