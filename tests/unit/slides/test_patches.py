import numpy as np

from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide


def test_patches_come_in_the_order_of_the_coordinates(drawn_slide):
    coords = np.array([[300, 200], [0, 0], [100, 250]])
    with Slide(drawn_slide.path) as slide:
        patches = list(read_patches(slide, coords, 32.0, 32))
    for (x, y), patch in zip(coords, patches, strict=True):
        np.testing.assert_array_equal(patch, drawn_slide.picture[y : y + 32, x : x + 32])


def test_a_side_that_is_not_whole_gives_whole_patches(drawn_slide):
    with Slide(drawn_slide.path) as slide:
        (patch,) = read_patches(slide, np.array([[10, 20]]), 59.7, 24)
    assert patch.shape == (24, 24, 3)
    assert patch.dtype == np.uint8
