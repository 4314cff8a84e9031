import numpy as np
import openslide
import pytest

from histossl.heatmaps.tiff import write_pyramid


def test_openslide_opens_it_with_its_scale_levels_and_colours(tmp_path):
    picture = np.random.default_rng(1).integers(0, 255, (70, 90, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    write_pyramid(tmp_path / "a.tiff", picture, (8.0, 8.1), "Slide ü, <b>")
    with openslide.OpenSlide(tmp_path / "a.tiff") as slide:
        assert slide.detect_format(tmp_path / "a.tiff") == "generic-tiff"
        assert slide.level_dimensions == ((900, 700), (450, 350), (225, 175))
        for axis, um in (("x", 8.0), ("y", 8.1)):
            assert float(slide.properties[f"openslide.mpp-{axis}"]) == pytest.approx(um, rel=1e-4)
        read = np.asarray(slide.read_region((0, 0), 0, (900, 700)))[..., :3]
        np.testing.assert_array_equal(read, picture)
        half = np.asarray(slide.read_region((0, 0), 1, (450, 350)))[..., :3]
        np.testing.assert_array_equal(half, picture[::2, ::2])


def test_the_same_picture_is_the_same_bytes(tmp_path):
    for name in "ab":
        write_pyramid(tmp_path / name, np.full((30, 300, 3), 9, np.uint8), (1, 1), "x")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
