import numpy as np
import pytest

from histossl.heatmaps.figure import lay_over, round_length


@pytest.mark.parametrize(("most", "length"), [(1.0, 1), (4.9, 2), (5.1, 5), (999, 500), (2300, 2000)])
def test_lengths_are_round(most, length):
    assert round_length(most) == pytest.approx(length)


def test_the_slide_is_grey_and_coloured_where_patches_are_alone():
    picture = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8)
    ranks = np.full((8, 8), np.nan)
    ranks[2:4, 2:4] = 100
    laid = lay_over(picture, ranks)
    coloured = laid.max(axis=2) != laid.min(axis=2)
    np.testing.assert_array_equal(coloured, ~np.isnan(ranks))
