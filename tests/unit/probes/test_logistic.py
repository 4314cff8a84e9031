import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histossl.errors import UserError
from histossl.probes.logistic import logistic_probabilities
from tests.unit.probes.conftest import LABELS

GRID = [1e-3, 1e-2, 0.1, 1.0, 10.0]


def fit(train, test, grid=GRID, **settings):
    return logistic_probabilities(train, test, grid, **{"folds": 4, "max_iterations": 1000, "seed": 1, **settings})


def scikit_learns(train, test, value):
    return (
        make_pipeline(StandardScaler(), LogisticRegression(C=value, max_iter=1000))
        .fit(train.features, train.label)
        .predict_proba(test.features)
    )


def test_probabilities_are_scikit_learns_at_the_chosen_c(train, test):
    found = fit(train, test)
    assert found.classes == LABELS
    assert found.C in GRID and found.losses[found.C] == min(found.losses.values())
    assert found.converged
    np.testing.assert_array_equal(found.probabilities, scikit_learns(train, test, found.C))


def test_c_is_that_of_the_least_log_loss_in_grouped_folds(train, test):
    groups = np.unique(train.group, return_inverse=True)[1]
    expected = {}
    for value in GRID:
        probabilities = np.empty((len(groups), 3))
        split = StratifiedGroupKFold(4, shuffle=True, random_state=1).split(groups, train.label, groups)
        for inside, held in split:
            probabilities[held] = scikit_learns(
                train.where(np.isin(np.arange(160), inside)), train.where(np.isin(np.arange(160), held)), value
            )
        own = probabilities[np.arange(160), np.searchsorted(LABELS, train.label)]
        expected[value] = -np.log(own).mean()
    found = fit(train, test)
    assert found.losses == pytest.approx(expected, rel=1e-5)
    assert min(expected, key=expected.__getitem__) == found.C


def test_a_single_c_needs_no_folds(train, test):
    one_group = replace(train, group=np.full(160, "p"))
    found = fit(one_group, test, [0.5])
    assert (found.C, found.losses) == (0.5, {})
    np.testing.assert_array_equal(found.probabilities, scikit_learns(train, test, 0.5))
    with pytest.raises(UserError, match="no penalty can be chosen"):
        fit(one_group, test)


def test_a_class_of_one_group_is_left_out_of_the_choice_alone(train, test):
    rare = replace(train, label=np.where(np.arange(160) < 5, LABELS[2], np.where(train.target > 1, *LABELS[:2])))
    found = fit(rare, test.where(test.label != "none"))
    assert found.classes == LABELS and np.isfinite(list(found.losses.values())).all()


def test_two_groups_of_a_class_each_leave_nothing_to_choose_by(train, test):
    halves = np.arange(160) < 80
    patches = replace(train, label=np.where(halves, *LABELS[:2]), group=np.where(halves, "p", "q"))
    with pytest.raises(UserError, match="without a fold's groups one class is left; give a single value"):
        fit(patches, patches)


def test_what_has_not_converged_is_said_without_a_warning(train, test):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not fit(train, test, max_iterations=1).converged


def test_threads_change_nothing(train, test):
    one, two = (fit(train, test, threads=threads) for threads in (1, 2))
    assert one.losses == two.losses
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
