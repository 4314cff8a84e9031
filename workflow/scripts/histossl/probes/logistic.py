"""Logistic regression on frozen features, its penalty chosen inside training."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from histossl.errors import UserError
from histossl.probes.folds import inner_folds
from histossl.probes.patches import Patches, check_classes

Floats = NDArray[np.float64]


class LogisticFit(NamedTuple):
    """Probabilities, and how they came about."""

    classes: list[str]
    probabilities: Floats
    """(N, classes) of the test patches."""
    C: float
    losses: dict[float, float]
    """Mean out-of-fold log loss by C; empty where there was nothing to choose."""
    converged: bool
    """Whether the last fit was done within its iterations."""


def logistic_probabilities(
    train: Patches,
    test: Patches,
    C: Sequence[float],
    folds: int,
    max_iterations: int,
    seed: int,
    threads: int = 1,
) -> LogisticFit:
    """Multinomial logistic regression with an L2 penalty on features of mean 0 and SD 1 in training.

    C, the inverse of the penalty, is that of the least log loss in grouped, stratified folds of the training patches;
    of equal ones the smallest. The last fit, on all training patches, is scikit-learn's `LogisticRegression` at that C.

    Args:
        train: patches with labels.
        test: patches to predict; their labels are only checked.
        C: values to choose from.
        folds: inner folds; fewer where there are fewer groups.
        max_iterations: of LBFGS, for each fit.
        seed: of the inner folds.
        threads: inner folds that are fitted at once; the result does not depend on it.

    Raises:
        UserError: see `check_classes`; or there is a C to choose, and training has one group.
    """
    classes = check_classes(train, test)
    grid = sorted(set(C))
    losses = _losses(train, classes, grid, folds, max_iterations, seed, threads) if len(grid) > 1 else {}
    chosen = min(losses, key=losses.__getitem__) if losses else grid[0]
    model = logistic_model(chosen, max_iterations)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(train.features, train.label)
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in said)
    return LogisticFit(classes, model.predict_proba(test.features).astype(float), chosen, losses, converged)


def logistic_model(C: float, max_iterations: int) -> Pipeline:
    """Scikit-learn's model, not yet fitted."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=max_iterations))


def _losses(
    train: Patches,
    classes: Sequence[str],
    grid: Sequence[float],
    folds: int,
    max_iterations: int,
    seed: int,
    threads: int,
) -> dict[float, float]:
    fold = inner_folds(train.label, train.group, folds, seed, train.source)

    def validate(number: int) -> Floats:
        """Log loss of each held-back patch of a class that was trained, by C: (len(grid), patches)."""
        inside, held = train.where(fold != number), train.where(fold == number)
        known = np.unique(inside.label)
        if len(known) < 2:
            return np.empty((len(grid), 0))
        held = held.where(np.isin(held.label, known))
        truth = np.searchsorted(known, held.label)[:, None]
        found = []
        for value in grid:
            model = logistic_model(value, max_iterations).fit(inside.features, inside.label)
            probabilities = model.predict_proba(held.features)
            own = np.take_along_axis(probabilities, truth, axis=1)[:, 0]
            found.append(-np.log(np.maximum(own.astype(float), np.finfo(np.float32).tiny)))
        return np.array(found)

    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)  # with almost no penalty; the last fit says it
        found = np.concatenate(list(pool.map(validate, range(fold.max() + 1))), axis=1)
    if not found.size:
        raise UserError(
            f"{train.source}: C cannot be chosen, since without a fold's groups one class is left; give a single value"
        )
    return dict(zip(grid, found.mean(axis=1).tolist(), strict=True))
