"""Mean and standard deviation over cross-validation folds, as studies print them."""

import math
from collections.abc import Sequence

import numpy as np


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) of one figure a fold; NaN where there are too few.

    It tells how much single folds differ. It is no standard error: training sets of folds overlap (Nadeau and Bengio
    2003).
    """
    mean = float(np.mean(values)) if len(values) else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
