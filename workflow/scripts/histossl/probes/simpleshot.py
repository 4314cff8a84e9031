"""Classification from a few labelled patches of each class, many times drawn."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histossl.errors import UserError
from histossl.probes.patches import Patches, check_classes, class_indices

Floats = NDArray[np.float64]

AT_ONCE = 16
"""Episodes of one product, which bounds its memory."""


class FewShot(NamedTuple):
    """Votes of the episodes, and how far they differ."""

    classes: list[str]
    votes: Floats
    """(N, classes): share of the episodes that took each test patch for each class."""
    balanced_accuracies: Floats
    """(episodes,): mean over the classes among the test patches of the share that is right."""


def simpleshot_votes(train: Patches, test: Patches, shots: int, episodes: int, seed: int) -> FewShot:
    """SimpleShot (Wang et al. 2019, arXiv 1911.04623): nearest class mean of centred features of length one.

    In each episode `shots` training patches of each class are drawn without replacement; their means classify all test
    patches by the Euclidean distance, ties going to the first class. Features are centred by the mean of all training
    patches, which stands for the mean of the paper's base classes and needs no labels.

    Args:
        train: patches with labels, to draw from.
        test: patches to predict.
        shots: patches of each class.
        episodes: number of draws.
        seed: of the draws; together with `shots` it decides them.

    Raises:
        UserError: see `check_classes`; or a class has fewer training patches than `shots`.
    """
    classes = check_classes(train, test)
    members = [np.flatnonzero(train.label == name) for name in classes]
    fewest = min(range(len(classes)), key=lambda index: len(members[index]))
    if len(members[fewest]) < shots:
        raise UserError(
            f"{train.source}: class '{classes[fewest]}' has {len(members[fewest])} training patches, fewer than "
            f"{shots} shots; lower `shots`, or merge or exclude it"
        )
    random = np.random.default_rng([seed, shots])
    drawn = np.array(
        [[random.choice(own, shots, replace=False) for own in members] for _ in range(episodes)]
    )  # (episodes, classes, shots)
    centre = train.features.mean(axis=0, dtype=np.float64)
    queries = unit(test.features - centre)
    votes = np.zeros((len(queries), len(classes)))
    right = np.empty((episodes, len(queries)), bool)
    labels = class_indices(test, classes)
    rows = np.arange(len(queries))
    for start in range(0, episodes, AT_ONCE):
        means = unit(train.features[drawn[start : start + AT_ONCE]] - centre).mean(axis=2)
        # Half the square of the distance, but for the query's own square.
        distances = (means**2).sum(axis=2) / 2 - (queries @ means.reshape(-1, means.shape[2]).T).reshape(
            len(queries), *means.shape[:2]
        )
        for episode, nearest in enumerate(distances.argmin(axis=2).T, start=start):
            votes[rows, nearest] += 1
            right[episode] = nearest == labels
    present = np.unique(labels)
    recalls = np.stack([right[:, labels == index].mean(axis=1) for index in present], axis=1)
    return FewShot(classes, votes / episodes, recalls.mean(axis=1))


def unit(vectors: Floats) -> Floats:
    """Vectors of length one along the last axis; one of length zero stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
