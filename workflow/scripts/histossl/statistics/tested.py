"""What a test of a difference says."""

import math
from typing import NamedTuple

from scipy.stats import t


class Tested(NamedTuple):
    """A difference with its standard error, degrees of freedom and two-sided p; NaN where undefined."""

    difference: float
    standard_error: float
    degrees: float
    p: float


def student(difference: float, variance: float, degrees: float) -> Tested:
    """Judge a difference by Student's t.

    No difference at all has p 1, whatever its variance. A difference without variance has p 2^-degrees: no less can
    come of exchanging the two methods within each of (degrees + 1) patients or folds.
    """
    error = math.sqrt(max(variance, 0.0))
    if difference == 0:
        return Tested(0.0, error, degrees, 1.0)
    p = 2.0**-degrees if error == 0 else float(2 * t.sf(abs(difference) / error, degrees))
    return Tested(difference, error, degrees, p)
