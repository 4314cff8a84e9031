"""What cross-validation adds to the variance of its figures: who is tested in one fold trains the models of others.

Stored predictions show how patients differ as cases to be judged, not that each of them also taught the models that
judged the rest. Of a figure that is a sum over pairs of a patient tested and a patient trained on, as an AUC nearly is
where a model has learned little, each pair comes in twice, the roles exchanged: the same chance counts double, and the
variance is twice that of models which are given. The more a model has learned, the less a single patient matters, and
the factor falls to 1. No estimate from the predictions of one cross-validation is unbiased (Bengio and Grandvalet
2004), hence the fixed factor: enough where folds train on many patients. Beside a test set of hundreds, the luck of a
training set of ten or twenty patients adds more. `benchmarks/shared_training.py` measures both.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from histossl.statistics.metrics import Integers

OF_CROSS_VALIDATION = 2.0
MORE_RESAMPLES = 5
"""Times as many where the variance is doubled: percentiles so far out are then as steady as those of 95%."""


def variance_factor(clusters: Sequence[str], folds: Integers) -> float:
    """How many times the variance of given models the variance of a figure may be.

    Args:
        clusters: (n,) patient of each row.
        folds: (n,) fold of each row, counted through the repeats.

    Returns:
        2 where folds test different patients, who train for each other; 1 where all test the same, whom no model saw.
    """
    names = np.asarray(clusters)
    tested = {tuple(np.unique(names[folds == fold])) for fold in np.unique(folds)}
    return OF_CROSS_VALIDATION if len(tested) > 1 else 1.0


def widened(level: float, factor: float) -> float:
    """The level at which a normal interval is sqrt(factor) times as wide as at `level`: 0.9944 for 0.95 and 2."""
    return 1 - 2 * float(norm.sf(norm.isf((1 - level) / 2) * math.sqrt(factor)))
