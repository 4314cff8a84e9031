"""Ranks of methods over several data sets, and how far mean ranks differ by chance (Demšar 2006, JMLR 7:1-30)."""

import math

import numpy as np
from scipy.stats import rankdata, studentized_range

from histossl.statistics.metrics import Floats


def mean_ranks(quality: Floats) -> Floats:
    """Mean rank of each of k methods (k,) over N data sets; 1 is best, ties share the mean of their ranks.

    Args:
        quality: (N, k), larger is better, finite.
    """
    return rankdata(-quality, axis=1).mean(axis=0)


def critical_distance(methods: int, datasets: int, level: float) -> float:
    """Nemenyi's: mean ranks of two methods that differ by at least as much differ by more than chance.

    Args:
        methods: k, at least 2.
        datasets: N, independent of each other.
        level: such as 0.95, over all pairs together.
    """
    quantile = studentized_range.ppf(level, methods, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * datasets)))


def alike(ranks: Floats, distance: float) -> list[tuple[int, int]]:
    """Largest groups of methods of which no two differ by `distance`: first and last place in rising order of rank.

    Groups of one method, and those within another, are left out.
    """
    rising = np.sort(ranks)
    groups: list[tuple[int, int]] = []
    for first in range(len(rising)):
        last = int(np.flatnonzero(rising - rising[first] < distance)[-1])
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups
