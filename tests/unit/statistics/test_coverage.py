"""Intervals cover and tests err as often as they say; benchmarks/interval_coverage.py draws many more data sets."""

import numpy as np
import pytest
from benchmarks.interval_coverage import Design, draw, simulate

from histossl.statistics import metrics


@pytest.mark.parametrize("design", [Design(20000, 2, 0.25, 0.95), Design(20000, 3, 1 / 3, 0.8)])
def test_the_true_auc_is_the_one_that_was_asked_for(design):
    data = draw(design, np.random.default_rng(0))
    for scores in data.scores:
        aucs = metrics.class_aucs(data.labels, scores, metrics.ones(len(data.labels)), data.folds)[0]
        assert aucs == pytest.approx([design.auc] * design.classes, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("design", [Design(60, 2, 0.5, 0.95), Design(60, 3, 1 / 3, 0.8)])
def test_intervals_cover_and_tests_hold_their_level(design):
    shares = simulate(design, runs=300, resamples=400)
    # Of 300 runs at 95%, three standard errors are 3.8 points.
    assert 0.912 <= shares["BCa"] <= 0.988
    assert shares["difference"] >= 0.912
    assert shares["DeLong t"] <= 0.088
    assert shares["bootstrap t"] <= 0.088
