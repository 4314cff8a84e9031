import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
import tifffile

from histossl.errors import UserError
from histossl.slides import openslide_source, reader
from histossl.slides.reader import Slide


def smooth_picture(width=512, height=384):
    """Low frequencies only, so that two ways of shrinking agree."""
    rough = np.random.default_rng(2).integers(0, 255, (height // 32, width // 32, 3), np.uint8)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)


def test_level_zero_pixels_are_those_written(drawn_slide):
    with Slide(drawn_slide.path) as slide:
        assert (slide.width_px, slide.height_px) == (640, 512)
        assert slide.level_downsamples == (1.0, 4.0)
        np.testing.assert_array_equal(slide.read(37, 51, (100, 70), (100, 70)), drawn_slide.picture[51:121, 37:137])


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.3])
def test_shrinking_from_level_zero_is_an_area_filter(drawn_slide, factor):
    side = 48
    length = side * factor
    with Slide(drawn_slide.path) as slide:
        got = slide.read(130, 90, (length, length), (side, side))
    whole = round(length)
    cut = drawn_slide.picture[90 : 90 + whole, 130 : 130 + whole]
    np.testing.assert_array_equal(got, cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("factor", [4.0, 6.5, 8.0])
def test_reading_from_a_coarser_level_agrees_with_level_zero(tmp_path, make_slide, factor):
    picture = smooth_picture()
    path = make_slide(tmp_path / "smooth.svs", picture)
    side = 32
    length = round(side * factor)
    with Slide(path) as slide:
        got = slide.read(64, 32, (length, length), (side, side))
    expected = cv2.resize(picture[32 : 32 + length, 64 : 64 + length], (side, side), interpolation=cv2.INTER_AREA)
    assert np.abs(got.astype(int) - expected).mean() < 2.0


def test_a_level_that_is_a_hair_too_coarse_is_still_used(tmp_path, make_slide, monkeypatch):
    path = make_slide(tmp_path / "a.svs", smooth_picture(516, 388))
    levels = []
    original = openslide.OpenSlide.read_region
    monkeypatch.setattr(
        openslide.OpenSlide,
        "read_region",
        lambda self, at, level, size: levels.append(level) or original(self, at, level, size),
    )
    with Slide(path) as slide:
        slide.read(0, 0, (63.9, 63.9), (16, 16))
        slide.read(0, 0, (56, 56), (16, 16))
    assert levels == [1, 0]


def test_enlarging_is_linear(drawn_slide):
    with Slide(drawn_slide.path) as slide:
        got = slide.read(200, 200, (20, 20), (50, 50))
    expected = cv2.resize(drawn_slide.picture[200:220, 200:220], (50, 50), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(got, expected)


def test_beyond_the_edge_there_is_glass(drawn_slide):
    with Slide(drawn_slide.path) as slide:
        got = slide.read(620, 500, (40, 30), (40, 30))
    np.testing.assert_array_equal(got[:12, :20], drawn_slide.picture[500:, 620:])
    assert (got[12:] == 255).all()
    assert (got[:, 20:] == 255).all()


def test_thumbnail_has_the_asked_scale_and_shape(drawn_slide):
    with Slide(drawn_slide.path) as slide:
        picture = slide.thumbnail(4.0, 0.5)
    assert picture.shape == (64, 80, 3)
    expected = cv2.resize(drawn_slide.picture, (80, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(int) - expected).mean() < 2.0


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.svs: no such slide file"):
        Slide(tmp_path / "nowhere.svs")


@pytest.mark.parametrize("content", [b"", b"not a slide", b"II*\0" + bytes(200)])
def test_a_file_that_is_no_slide_is_named(tmp_path, content):
    path = tmp_path / "bad.svs"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.svs: OpenSlide cannot open"):
        Slide(path)


def test_a_damaged_tile_is_reported_with_its_place(tmp_path, drawn_slide):
    path = tmp_path / "damaged.svs"
    content = bytearray(drawn_slide.path.read_bytes())
    with tifffile.TiffFile(drawn_slide.path) as tiff:
        start, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)
    with Slide(path) as slide, pytest.raises(UserError, match=r"damaged\.svs: damaged at level-0 x=3, y=5"):
        slide.read(3, 5, (10, 10), (10, 10))


def test_a_region_too_large_to_read_at_once_is_refused(drawn_slide, monkeypatch):
    monkeypatch.setattr(reader, "MAX_READ_PX", 10_000)
    with Slide(drawn_slide.path) as slide, pytest.raises(UserError, match="no pyramid level coarse enough"):
        slide.read(0, 0, (300, 300), (150, 150))


def test_a_thumbnail_too_large_is_refused(drawn_slide, monkeypatch):
    monkeypatch.setattr(reader, "MAX_THUMBNAIL_PX", 5000)
    with Slide(drawn_slide.path) as slide, pytest.raises(UserError, match="at 4 µm/px the slide has 80 x 64 px"):
        slide.thumbnail(4.0, 0.5)


def test_a_slide_of_impossible_size_is_refused(drawn_slide, monkeypatch):
    monkeypatch.setattr(reader, "MAX_SLIDE_PX", 640 * 512 - 1)
    with pytest.raises(UserError, match="claims 640 x 512 px"):
        Slide(drawn_slide.path)


def test_impossible_tiles_are_refused(drawn_slide, monkeypatch):
    monkeypatch.setattr(openslide_source, "MAX_TILE_PX", 64 * 64 - 1)
    with pytest.raises(UserError, match="claims tiles of 64 x 64 px"):
        Slide(drawn_slide.path)


def test_reading_into_a_buffer_fills_and_returns_it(drawn_slide):
    buffer = np.zeros((2, 50, 50, 3), np.uint8)
    with Slide(drawn_slide.path) as slide:
        for size in (50, 80, 20):
            got = slide.read(200, 200, (size, size), (50, 50), buffer[1])
            assert np.shares_memory(got, buffer)
            np.testing.assert_array_equal(buffer[1], slide.read(200, 200, (size, size), (50, 50)))
    assert not buffer[0].any()


def test_opening_imports_neither_torch_nor_the_jpeg_decoder(drawn_slide):
    code = (
        "import sys; from histossl.slides.reader import Slide; Slide(sys.argv[1]); "
        "print([name for name in ('torch', 'imagecodecs', 'tifffile') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(drawn_slide.path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(reader.__file__).parents[2])},
    )
    assert found.stdout.strip() == "[]"
