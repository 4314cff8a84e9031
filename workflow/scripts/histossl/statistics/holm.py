"""Correction of a family of tests."""

import numpy as np

from histossl.statistics.metrics import Floats


def holm(p: Floats) -> Floats:
    """Step-down adjusted p of a family of tests (Holm 1979), (n,): those below a level hold it for the whole family.

    The k-th smallest of n becomes the largest of (n - j + 1) x the j-th smallest, j up to k, and 1 at most. NaN, a test
    that could not be made, stays NaN and does not count.
    """
    adjusted = np.full(len(p), np.nan)
    made = np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted
