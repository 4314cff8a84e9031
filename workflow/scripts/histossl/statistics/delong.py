"""DeLong's variance of areas under ROC curves, for clustered rows, strata and several classes.

DeLong, DeLong and Clarke-Pearson (1988) write an AUC as a mean over rows, whose scatter gives its variance. Obuchowski
(1997) sums what the rows of one patient add, because they are not independent. Two further steps lead to the figure of
the tables: pairs are counted within strata only, and what a row adds to the macro AUC is the mean of what it adds to
each class against the rest. With one row a patient, one stratum and two classes it is DeLong's variance to the digit.
"""

import math

import numpy as np
from numpy.typing import NDArray

from histossl.statistics.metrics import Floats, Integers, Runs, class_aucs, ones
from histossl.statistics.tested import Tested, student


def influences(labels: Integers, probabilities: Floats, strata: Integers | None = None) -> tuple[float, Floats]:
    """Macro one-against-rest AUC, and how each row moves it.

    Args:
        labels: (n,) class indices.
        probabilities: (n, classes); classes that have no pair with the rest within a stratum are left out.
        strata: (n,) stratum of each row; only pairs within a stratum count.

    Returns:
        The AUC, and (n,) structural components less the AUC, scaled so that their sum is 0 and the sum of their squares
        is the variance but for the correction for small samples.

    Raises:
        ValueError: no class has a pair.
    """
    aucs = class_aucs(labels, probabilities, ones(len(labels)), strata)[0]
    ranked = np.flatnonzero(~np.isnan(aucs))
    if not len(ranked):
        raise ValueError("no class has a row to compare with")
    added = [influence(labels == c, probabilities[:, c], float(aucs[c]), strata) for c in ranked]
    return float(aucs[ranked].mean()), np.mean(added, axis=0)


def influence(positive: NDArray[np.bool_], scores: Floats, auc: float, strata: Integers | None) -> Floats:
    """How each row moves an AUC: (its share of pairs won - AUC) x its pairs / all pairs, (n,)."""
    runs = Runs.of(scores, strata)
    positives, negatives = (runs.sums(rows[None].astype(float)) for rows in (positive, ~positive))
    all_positives, all_negatives = runs.totals(positives), runs.totals(negatives)
    of_positive = runs.below(negatives) + negatives / 2 - auc * runs.spread(all_negatives)
    of_negative = runs.spread(all_positives) - runs.below(positives) - positives / 2 - auc * runs.spread(all_positives)
    sizes = np.diff(np.r_[runs.starts, len(scores)])
    added = np.empty(len(scores))
    by_run = [np.repeat(part[0], sizes) for part in (of_positive, of_negative)]
    added[runs.order] = np.where(positive[runs.order], *by_run)
    return added / (all_positives * all_negatives).sum()


def variance(added: Floats, labels: Integers, clusters: Integers) -> tuple[float, float]:
    """Variance of what `influences` are of, and its degrees of freedom.

    Args:
        added: (n,) influences, or the difference of those of two methods on the same rows.
        labels: (n,) class of each row.
        clusters: (n,) cluster of each row.

    Returns:
        Obuchowski's variance: squares of the clusters' sums within a class, times c / (c - 1) for the c clusters that
        have the class, and products between classes, times c / (c - 1) for all clusters. Degrees of freedom by
        Satterthwaite's formula from those of the classes. NaN where a class has one cluster.
    """
    _, of_row = np.unique(clusters, return_inverse=True)
    classes, of_label = np.unique(labels, return_inverse=True)
    cells = (of_row, of_label)
    sums = np.zeros((of_row.max() + 1, len(classes)))
    np.add.at(sums, cells, added)
    member = np.zeros(sums.shape, bool)
    member[cells] = True
    degrees = member.sum(axis=0) - 1
    if not degrees.all():
        return math.nan, math.nan
    within = (sums**2).sum(axis=0) * (degrees + 1) / degrees
    between = (sums.sum(axis=1) ** 2).sum() - (sums**2).sum()
    total = within.sum() + between * len(sums) / (len(sums) - 1)
    if not within.any():
        return 0.0, float(degrees.sum())
    return float(total), float(within.sum() ** 2 / (within**2 / degrees).sum())


def compare(
    labels: Integers,
    first: Floats,
    second: Floats,
    clusters: Integers,
    strata: Integers | None = None,
    factor: float = 1.0,
) -> Tested:
    """Test whether two methods have the same macro AUC on the same rows.

    Args:
        labels: (n,) class indices.
        first: (n, classes) probabilities of one method.
        second: (n, classes) of the other.
        clusters: (n,) patient of each row.
        strata: (n,) as for `influences`.
        factor: what the variance is multiplied by (`histossl.statistics.shared_training`).

    Returns:
        First minus second, with p of the t distribution.
    """
    (one, added), (other, also) = (influences(labels, scores, strata) for scores in (first, second))
    between, degrees = variance(added - also, labels, clusters)
    return student(one - other, factor * between, degrees)
