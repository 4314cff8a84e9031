import matplotlib as mpl
import numpy as np
import pytest

from histossl.heatmaps.canvas import colour_ranks, fit_size, spread_values
from histossl.slides.metadata import SlideMetadata

SLIDE = SlideMetadata("s", "ok", width_px=640, height_px=480, spacing_um=0.5)


@pytest.mark.parametrize(
    ("spacing_um", "longest_px", "size"), [(2, 999, (160, 120)), (0.1, 999, (640, 480)), (2, 100, (100, 75))]
)
def test_a_picture_has_its_spacing_and_its_limits(spacing_um, longest_px, size):
    assert fit_size(SLIDE, spacing_um, longest_px) == size


def test_patches_side_by_side_fill_their_squares():
    spread = spread_values(np.array([[64, 0], [128, 0]]), 64, np.array([10.0, 20.0]), SLIDE, (160, 120))
    assert (spread[:16, 16:32] == 10).all()
    assert (spread[:16, 32:48] == 20).all()
    assert np.isnan(spread).sum() == 160 * 120 - 2 * 16 * 16


def test_where_patches_overlap_values_are_averaged_as_pixel_by_pixel():
    generator = np.random.default_rng(2)
    coords, values = generator.integers(0, 400, (40, 2)), generator.uniform(0, 100, 40)
    spread = spread_values(coords, 90.0, values, SLIDE, (640, 480))
    for y in range(0, 480, 37):
        for x in range(0, 640, 23):
            inside = ((coords <= (x, y)) & (coords + 90 > (x, y))).all(axis=1)
            expected = values[inside].mean() if inside.any() else np.nan
            np.testing.assert_allclose(spread[y, x], expected, rtol=1e-5)


def test_a_patch_at_the_edge_or_below_a_pixel_is_there_still():
    spread = spread_values(np.array([[630, 470], [0, 0]]), 30, np.array([1.0, 2.0]), SLIDE, (16, 12))
    assert (spread[-1, -1], spread[0, 0]) == (1, 2)


def test_colours_are_those_of_viridis_and_white_elsewhere():
    ranks = np.array([[0, 50, 100, np.nan]])
    expected = [mpl.colormaps["viridis"](value, bytes=True)[:3] for value in (0, 0.5, 1.0)]
    np.testing.assert_array_equal(colour_ranks(ranks)[0], [*expected, (255, 255, 255)])
