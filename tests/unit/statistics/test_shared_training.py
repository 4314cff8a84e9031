import numpy as np
import pytest
from scipy.stats import norm

from histossl.statistics.shared_training import variance_factor, widened


def test_patients_of_other_folds_trained_the_models():
    assert variance_factor(["a", "b", "c", "d"], np.array([0, 0, 1, 1])) == 2
    assert variance_factor(["a", "b", "b", "c"], np.array([0, 0, 1, 1])) == 2  # Monte-Carlo splits that overlap


def test_a_test_set_that_no_fold_trains_on_shares_nothing():
    assert variance_factor(["a", "b", "b"], np.array([0, 0, 0])) == 1
    assert variance_factor(["a", "b", "b", "a"], np.array([0, 0, 1, 1])) == 1  # one test set, several training sets


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_a_widened_interval_reaches_sqrt_2_times_as_far(level):
    assert widened(level, 1) == pytest.approx(level)
    reach, wider = norm.ppf((1 + level) / 2), norm.ppf((1 + widened(level, 2)) / 2)
    assert wider / reach == pytest.approx(np.sqrt(2))


def test_the_cross_validated_auc_of_shuffled_labels_has_up_to_twice_the_variance_of_given_models():
    """The reason for the factor, in its simplest form: pairs of patients who teach and judge each other."""
    rng = np.random.default_rng(0)
    alike = rng.normal(size=(40, 40))
    alike = np.triu(alike, 1) + np.triu(alike, 1).T
    fold = np.arange(40) % 4
    other = fold[:, None] != fold
    labels = rng.choice([-1, 1], (20000, 40))
    taught = np.einsum("ri,ij,rj->ri", labels, alike * other, labels)  # what each test adds: label x score
    given = (alike**2 * other).sum()  # variance over the labels of the tested, whoever taught
    assert taught.sum(axis=1).var() / given == pytest.approx(2, rel=0.05)
