import math
import statistics

import pytest

from histossl.statistics.spread import mean_and_sd


def test_mean_and_sd_are_those_of_a_sample():
    values = [0.7, 0.85, 0.9, 0.65]
    assert mean_and_sd(values) == pytest.approx((statistics.mean(values), statistics.stdev(values)))


def test_one_fold_has_no_sd_and_none_has_nothing():
    mean, sd = mean_and_sd([0.8])
    assert (mean, math.isnan(sd)) == (0.8, True)
    assert all(map(math.isnan, mean_and_sd([])))
