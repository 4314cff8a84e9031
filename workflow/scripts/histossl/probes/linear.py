"""Linear regression of a target on frozen features, in float64."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from histossl.probes.folds import inner_folds
from histossl.probes.patches import Patches

Floats = NDArray[np.float64]


class RidgeFit(NamedTuple):
    """Predictions, and the penalty that they were made with."""

    predictions: Floats
    """(N,) of the test patches."""
    penalty: float
    errors: dict[float, float]
    """Mean squared out-of-fold error by penalty; empty where there was nothing to choose."""


def linear_predictions(train: Patches, test: Patches) -> Floats:
    """Least-squares prediction of the targets of the test patches, (N,), as in Chen and Krishnan 2022.

    Features are used as they are. Where there are more of them than training patches, the smallest weights that fit.

    Args:
        train: patches with finite targets.
        test: patches to predict.
    """
    model = LinearRegression().fit(train.features.astype(np.float64), train.target)
    return model.predict(test.features.astype(np.float64))


def ridge_predictions(train: Patches, test: Patches, penalties: Sequence[float], folds: int, seed: int) -> RidgeFit:
    """Ridge regression on features of mean 0 and SD 1 in training (Hoerl and Kennard 1970).

    The penalty on the squared weights is that of the least mean squared error in grouped folds of the training patches;
    of equal ones the largest. The last fit is on all training patches.

    Args:
        train: patches with finite targets.
        test: patches to predict.
        penalties: values to choose from (`alpha` of scikit-learn's `Ridge`).
        folds: inner folds; fewer where there are fewer groups.
        seed: of the inner folds.

    Raises:
        UserError: there is a penalty to choose, and training has one group.
    """
    grid = sorted(set(penalties), reverse=True)
    features = train.features.astype(np.float64)
    errors: dict[float, float] = {}
    if len(grid) > 1:
        fold = inner_folds(None, train.group, folds, seed, train.source)
        squares = np.empty((len(grid), len(features)))
        for number in range(fold.max() + 1):
            inside, held = fold != number, fold == number
            for row, penalty in zip(squares, grid, strict=True):
                predicted = ridge_model(penalty).fit(features[inside], train.target[inside]).predict(features[held])
                row[held] = (predicted - train.target[held]) ** 2
        errors = dict(zip(grid, squares.mean(axis=1).tolist(), strict=True))
    penalty = min(errors, key=errors.__getitem__) if errors else grid[0]
    model = ridge_model(penalty).fit(features, train.target)
    return RidgeFit(model.predict(test.features.astype(np.float64)), penalty, errors)


def ridge_model(penalty: float) -> Pipeline:
    """Scikit-learn's model, not yet fitted."""
    return make_pipeline(StandardScaler(), Ridge(alpha=penalty))
