import cv2
import numpy as np
import openslide
import pytest

from histossl.phantom.pyramid import write_pyramid


@pytest.fixture(scope="module")
def image():
    coarse = np.random.default_rng(0).integers(30, 250, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (1200, 800), interpolation=cv2.INTER_CUBIC)


def test_openslide_opens_levels_spacing_and_magnification(tmp_path, image):
    write_pyramid(tmp_path / "a.svs", image, 0.5)
    with openslide.OpenSlide(tmp_path / "a.svs") as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_dimensions == ((1200, 800), (300, 200), (75, 50))
        assert float(slide.properties["openslide.mpp-x"]) == 0.5
        assert float(slide.properties["openslide.mpp-y"]) == 0.5
        assert slide.properties["openslide.objective-power"] == "20"
        assert slide.properties["openslide.level[0].tile-width"] == "256"


def test_a_slide_without_spacing_states_none_anywhere(tmp_path, image):
    write_pyramid(tmp_path / "a.svs", image, None)
    with openslide.OpenSlide(tmp_path / "a.svs") as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        stated = [name for name in slide.properties if "mpp" in name.lower() or "power" in name.lower()]
        assert stated == []
        assert slide.properties["tiff.ResolutionUnit"] == "none"


def test_every_level_shows_the_image_in_its_colours(tmp_path, image):
    write_pyramid(tmp_path / "a.svs", image, 0.5)
    with openslide.OpenSlide(tmp_path / "a.svs") as slide:
        for level, size in enumerate(slide.level_dimensions):
            shown = np.asarray(slide.read_region((0, 0), level, size).convert("RGB")).astype(float)
            expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(float)
            assert np.abs(shown - expected).mean() < 4
            assert np.abs((shown - expected).mean(axis=(0, 1))).max() < 1


def test_equal_images_give_equal_bytes(tmp_path, image):
    write_pyramid(tmp_path / "a.svs", image, 0.5)
    write_pyramid(tmp_path / "b.svs", image, 0.5)
    assert (tmp_path / "a.svs").read_bytes() == (tmp_path / "b.svs").read_bytes()
