from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histossl.errors import UserError
from histossl.probes.linear import linear_predictions, ridge_predictions

GRID = [0.1, 1.0, 10.0, 100.0, 1000.0]


def test_linear_predictions_solve_the_normal_equations(train, test):
    design = np.column_stack([np.ones(160), train.features.astype(float)])
    weights = np.linalg.solve(design.T @ design, design.T @ train.target)
    expected = np.column_stack([np.ones(60), test.features.astype(float)]) @ weights
    np.testing.assert_allclose(linear_predictions(train, test), expected, rtol=1e-8)


def test_the_penalty_is_that_of_the_least_error_in_grouped_folds(train, test):
    groups = np.unique(train.group, return_inverse=True)[1]
    features = train.features.astype(float)
    expected = {}
    for penalty in GRID:
        model = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
        folds = GroupKFold(4, shuffle=True, random_state=1)
        predicted = cross_val_predict(model, features, train.target, groups=groups, cv=folds)
        expected[penalty] = np.mean((predicted - train.target) ** 2)
    found = ridge_predictions(train, test, GRID, 4, 1)
    assert found.errors == pytest.approx(expected)
    assert found.penalty == min(expected, key=expected.__getitem__)


def test_ridge_solves_its_normal_equations_and_does_not_penalise_the_mean(train, test):
    found = ridge_predictions(train, test, [7.0], 4, 1)
    features = train.features.astype(float)
    mean, spread = features.mean(0), features.std(0)
    scaled = (features - mean) / spread
    weights = np.linalg.solve(scaled.T @ scaled + 7 * np.eye(9), scaled.T @ (train.target - train.target.mean()))
    expected = train.target.mean() + (test.features - mean) / spread @ weights
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-8)
    assert (found.penalty, found.errors) == (7.0, {})
    strong = ridge_predictions(train, test, [1e12], 4, 1).predictions
    np.testing.assert_allclose(strong, np.full(60, train.target.mean()), rtol=1e-6)


def test_a_penalty_cannot_be_chosen_within_one_group(train, test):
    with pytest.raises(UserError, match="no penalty can be chosen on patches that are all of one group"):
        ridge_predictions(replace(train, group=np.full(160, "p")), test, GRID, 4, 1)
