"""Classification by the nearest training patches."""

import numpy as np
from numpy.typing import NDArray

from histossl.errors import UserError
from histossl.probes.neighbours import nearest
from histossl.probes.patches import Patches, check_classes, class_indices

Floats = NDArray[np.float64]


def knn_probabilities(train: Patches, test: Patches, k: int, metric: str, threads: int = 1) -> tuple[list[str], Floats]:
    """Share of each class among the k nearest training patches, all neighbours counting alike.

    With k = 5 and the Euclidean metric this is the probe of Chen and Krishnan 2022 (arXiv 2203.00585), and equals
    scikit-learn's `KNeighborsClassifier` but for points at equal distances, of which the first are taken here.

    Args:
        train: patches with labels.
        test: patches to predict; their labels are only checked.
        k: number of neighbours.
        metric: `euclidean` or `cosine`.
        threads: threads to compute with.

    Returns:
        The classes in alphabetical order, and probabilities (N, classes) of the test patches.

    Raises:
        UserError: see `check_classes`; or there are fewer than k training patches.
    """
    classes = check_classes(train, test)
    check_neighbours(train, k)
    index, _ = nearest(train.features, test.features, k, metric, threads)
    return classes, vote(class_indices(train, classes)[index], np.ones(index.shape), len(classes))


def weighted_knn_probabilities(
    train: Patches, test: Patches, k: int, temperature: float, threads: int = 1
) -> tuple[list[str], Floats]:
    """Votes of the k nearest training patches by cosine, each weighing exp(cosine / temperature).

    The probe of Caron et al. 2021 (DINO, arXiv 2104.14294, after Wu et al. 2018), there with k = 20 and a temperature
    of 0.07.

    Args:
        train: patches with labels.
        test: patches to predict; their labels are only checked.
        k: number of neighbours.
        temperature: the lower, the more near neighbours outweigh far ones.
        threads: threads to compute with.

    Returns:
        The classes in alphabetical order, and shares of the votes (N, classes) of the test patches.

    Raises:
        UserError: see `check_classes`; or there are fewer than k training patches.
    """
    classes = check_classes(train, test)
    check_neighbours(train, k)
    index, distance = nearest(train.features, test.features, k, "cosine", threads)
    # Beside the nearest: the shares are the same, and no exponential overflows.
    weights = np.exp((distance[:, :1] - distance) / temperature)
    return classes, vote(class_indices(train, classes)[index], weights, len(classes))


def check_neighbours(train: Patches, k: int) -> None:
    """Raise `UserError` if there are fewer than k training patches."""
    if len(train.label) < k:
        raise UserError(f"{train.source}: {len(train.label)} training patches for k = {k} neighbours; lower `k`")


def vote(labels: NDArray[np.int64], weights: Floats, classes: int) -> Floats:
    """Share of each class in the weights of the neighbours: (Q, classes) from labels and weights (Q, k)."""
    total = np.stack([np.where(labels == index, weights, 0).sum(axis=1) for index in range(classes)], axis=1)
    return total / total.sum(axis=1, keepdims=True)
