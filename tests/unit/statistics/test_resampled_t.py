import numpy as np
import pytest
from scipy import stats

from histossl.statistics.resampled_t import corrected_resampled_t

# AUC of the model study's ImageNet network less that of its DINO, in ten folds at a quarter of the training slides.
STUDY = np.array([-0.06635, -0.1973, -0.11224, 0.04319, 0.04067, -0.07481, -0.08807, -0.00381, -0.10628, 0.03568])


def test_without_overlap_it_is_the_paired_t():
    tested = corrected_resampled_t(STUDY, 0)
    reference = stats.ttest_1samp(STUDY, 0)
    assert tested.difference / tested.standard_error == pytest.approx(reference.statistic)
    assert tested.p == pytest.approx(reference.pvalue)


def test_overlap_widens_it_as_published():
    # 81 slides tested in each fold, a quarter of 715 trained on: |t| falls from 2.10 to 0.89.
    tested = corrected_resampled_t(STUDY, 81 / (0.25 * 715))
    assert tested.difference / tested.standard_error == pytest.approx(-0.89, abs=0.005)
    assert tested.degrees == 9
    assert tested.p == pytest.approx(2 * stats.t.sf(0.8907, 9), abs=1e-3)


def test_one_fold_tells_nothing():
    assert np.isnan(corrected_resampled_t(STUDY[:1], 0.1).p)
    assert np.isnan(corrected_resampled_t(STUDY[:0], 0.1).p)


def test_no_difference_in_any_fold_is_no_difference():
    assert corrected_resampled_t(np.zeros(5), 0.25).p == 1
