"""Retrieval: does a patch find patches of its own class?"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from histossl.errors import UserError
from histossl.probes.neighbours import nearest
from histossl.probes.patches import Patches, check_classes, class_indices
from histossl.probes.simpleshot import unit

Floats = NDArray[np.float64]

FIGURES = ("hit_1", "hit_3", "hit_5", "majority_5", "average_precision")
NEAREST = 5
QUERIES = 32
"""Queries whose whole ranking is made at once."""
SIMILARITY_DECIMALS = 12
"""To which similarities are compared."""


def retrieval_figures(train: Patches, test: Patches, threads: int = 1) -> Floats:
    """How well each test patch, as a query, finds the training patches of its class by cosine: (N, `FIGURES`).

    `hit_k`: 1 where one of the k nearest is of its class. `majority_5`: 1 where the commonest class of the five nearest
    is; of equally common ones that of the nearest patch. `average_precision`: over the whole ranking, equal
    similarities sharing one place, as scikit-learn's `average_precision_score`.

    Args:
        train: patches with labels, to search.
        test: patches with labels, the queries.
        threads: blocks of queries that are worked on at once; the result does not depend on it.

    Raises:
        UserError: see `check_classes`; or there are fewer than five training patches.
    """
    classes = check_classes(train, test)
    if len(train.label) < NEAREST:
        raise UserError(f"{train.source}: {len(train.label)} training patches to retrieve from; {NEAREST} are needed")
    own, asked = class_indices(train, classes), class_indices(test, classes)
    index, _ = nearest(train.features, test.features, NEAREST, "cosine", threads)
    found = own[index]
    hits = found == asked[:, None]
    precisions = average_precisions(
        unit(train.features.astype(float)), unit(test.features.astype(float)), own, asked, threads
    )
    return np.column_stack(
        [hits[:, 0], hits[:, :3].any(axis=1), hits.any(axis=1), majority(found) == asked, precisions]
    ).astype(float)


def majority(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Commonest label of each row (Q, k), nearest first; of equally common ones the one that comes first: (Q,)."""
    count = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
    return labels[np.arange(len(labels)), count.argmax(axis=1)]


def average_precisions(
    points: Floats, queries: Floats, point_labels: NDArray[np.int64], query_labels: NDArray[np.int64], threads: int = 1
) -> Floats:
    """Average precision of each query's ranking of all points by inner product, (Q,).

    The mean, over the points of the query's label, of the share of that label among the points at least as similar.

    Args:
        points: (N, D).
        queries: (Q, D).
        point_labels: (N,); each label of a query is among them.
        query_labels: (Q,).
        threads: blocks of queries that are worked on at once.
    """

    def block(rows: NDArray[np.int64]) -> Iterator[float]:
        # Equal points get sums that differ in the last bits by their place in the product.
        similarity = np.round(queries[rows] @ points.T, SIMILARITY_DECIMALS)
        for label, row in zip(query_labels[rows], similarity, strict=True):
            relevant = np.sort(row[point_labels == label])
            row.sort()
            at_least = len(row) - np.searchsorted(row, relevant)
            relevant_at_least = len(relevant) - np.searchsorted(relevant, relevant)
            yield float((relevant_at_least / at_least).mean())

    blocks = [np.arange(start, min(start + QUERIES, len(queries))) for start in range(0, len(queries), QUERIES)]
    with ThreadPoolExecutor(threads) as pool:
        return np.array([value for part in pool.map(lambda rows: list(block(rows)), blocks) for value in part])
