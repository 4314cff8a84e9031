"""Probes: simple predictors on frozen patch features, with scikit-learn's numbers."""

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

from histossl.errors import UserError
from histossl.probes.patches import Patches


def knn_probabilities(
    train: Patches, test: Patches, k: int, metric: str, threads: int = 1
) -> tuple[list[str], np.ndarray]:
    """Share of each class among the k nearest training patches, all neighbours counting alike.

    With k = 5 and the Euclidean metric this is the probe of Chen and Krishnan 2022 (arXiv 2203.00585).

    Args:
        train: patches with labels.
        test: patches with labels, which are only checked.
        k: number of neighbours.
        metric: a metric of scikit-learn, such as `euclidean` or `cosine`.
        threads: threads to compute with.

    Returns:
        The classes in alphabetical order, and probabilities (N, classes) of the test patches.

    Raises:
        UserError: fewer than two classes or than k patches in training, or a test label that is not in training.
    """
    classes = sorted(set(train.label.tolist()))
    if len(classes) < 2:
        raise UserError(f"{train.source}: the training patches have {len(classes)} class(es) {classes}; two are needed")
    unknown = sorted(set(test.label.tolist()) - set(classes))
    if unknown:
        raise UserError(
            f"{test.source}: label '{unknown[0]}' is not among the training labels of {train.source} "
            f"({', '.join(classes)}); merge or exclude it"
        )
    if len(train.label) < k:
        raise UserError(f"{train.source}: {len(train.label)} training patches for k = {k} neighbours; lower `k`")
    probe = KNeighborsClassifier(n_neighbors=k, metric=metric, n_jobs=threads)
    probe.fit(train.features, train.label)
    return probe.classes_.tolist(), probe.predict_proba(test.features)


def linear_predictions(train: Patches, test: Patches, ridge: float) -> np.ndarray:
    """Least-squares prediction of the targets, in float64: (N,).

    Args:
        train: patches with finite targets.
        test: patches to predict.
        ridge: penalty on the squared weights; 0 for ordinary least squares, as in Chen and Krishnan 2022.
    """
    probe = Ridge(alpha=ridge) if ridge else LinearRegression()
    probe.fit(train.features.astype(np.float64), train.target)
    return probe.predict(test.features.astype(np.float64))
