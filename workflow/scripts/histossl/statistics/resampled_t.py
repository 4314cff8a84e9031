"""The corrected resampled t test for figures of cross-validation folds."""

import numpy as np

from histossl.statistics.metrics import Floats
from histossl.statistics.tested import Tested, student


def corrected_resampled_t(differences: Floats, test_to_train: float) -> Tested:
    """Test the mean difference of two methods over folds, repeated or not (Nadeau and Bengio 2003).

    t = mean / sqrt((1 / k + n_test / n_train) x variance), k - 1 degrees of freedom. The second term makes up for
    training sets that overlap; the plain paired t, which lacks it, finds differences where there are none.

    Args:
        differences: (k,) one of each fold of each repeat; fewer than two give NaN.
        test_to_train: n_test / n_train, such as 1 / 9 for ten folds.
    """
    k = len(differences)
    mean = float(differences.mean()) if k else np.nan
    if k < 2:
        return Tested(mean, np.nan, np.nan, np.nan)
    return student(mean, (1 / k + test_to_train) * float(differences.var(ddof=1)), k - 1)
