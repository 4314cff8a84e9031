"""Slides of different µm/px give the same physical patch."""

import numpy as np
import pytest

from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide

WIDTH_UM, HEIGHT_UM = 300.0, 220.0


def pattern(x_um, y_um):
    """Waves of 20 to 50 µm: a smooth function of the place, sampled by each scanner in its own pixels."""
    red = 128 + 90 * np.sin(2 * np.pi * x_um / 23) * np.cos(2 * np.pi * y_um / 31)
    green = 128 + 90 * np.cos(2 * np.pi * (x_um + y_um) / 41)
    blue = 128 + 90 * np.sin(2 * np.pi * (x_um - 0.7 * y_um) / 29)
    return np.stack(np.broadcast_arrays(red, green, blue), -1)


def scan(spacing_um):
    """What a scanner of this µm/px sees of the pattern."""
    width, height = (int(side / spacing_um) for side in (WIDTH_UM, HEIGHT_UM))
    x, y = (np.arange(width) + 0.5) * spacing_um, (np.arange(height) + 0.5) * spacing_um
    return np.round(pattern(x[None], y[:, None])).astype(np.uint8)


@pytest.mark.parametrize("spacing_um", [0.25, 0.2525, 0.2325, 0.4992])
@pytest.mark.parametrize("downsamples", [(1,), (1, 2)])
def test_a_patch_shows_the_field_that_was_asked_for(tmp_path, make_slide, spacing_um, downsamples):
    path = make_slide(tmp_path / "a.svs", scan(spacing_um), spacing_um, downsamples)
    asked_um, patch_px = 0.5, 128
    corners_um = np.array([[20.0, 30.0], [100.0, 71.0], [200.0, 110.0]])
    coords = np.round(corners_um / spacing_um).astype(int)
    centres = (np.arange(patch_px) + 0.5) * asked_um

    def differences(patch_level0):
        with Slide(path) as slide:
            patches = list(read_patches(slide, coords, patch_level0, patch_px))
        wanted = [pattern(left + centres[None], top + centres[:, None]) for left, top in coords * spacing_um]
        return np.abs(np.subtract(patches, wanted))

    exact = differences(patch_px * asked_um / spacing_um)
    # Half a pixel of the level read, 0.25 µm at most, where the pattern changes by up to 30 grey values a µm.
    assert exact.max() < 8.0
    assert exact.mean() < 2.0
    if spacing_um in (0.2525, 0.2325):
        # Taken for "40x", the patch would be 1 % or 7 % too small: worst where it is furthest from its corner.
        binned = differences(patch_px * asked_um / 0.25)
        assert binned[:, -32:, -32:].mean() > 2.5 * exact[:, -32:, -32:].mean()
