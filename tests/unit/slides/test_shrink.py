import cv2
import numpy as np
import pytest

from histossl.slides import reader
from histossl.slides.reader import Slide
from histossl.slides.shrink import shrink_in_strips
from tests.unit.slides.conftest import textured, write_jpeg_slide


class Picture:
    """A source with one level, which counts the largest strip asked for."""

    def __init__(self, pixels):
        self.pixels, self.largest = pixels, 0

    def read_level(self, level, x, y, out):
        height, width = out.shape[:2]
        self.largest = max(self.largest, width * height)
        out[:] = self.pixels[y : y + height, x : x + width]


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (100, 80), (233, 177), (350, 265), (700, 530), (699, 529)])
@pytest.mark.parametrize("strip_px", [1, 5000, 100_000, 10**7])
def test_strips_give_the_area_filter(size, strip_px):
    source = Picture(textured())
    got = np.zeros((size[1], size[0], 3), np.uint8)
    shrink_in_strips(source, 0, (0, 0, 700, 530), got, strip_px)
    expected = cv2.resize(source.pixels, size, interpolation=cv2.INTER_AREA)
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert source.largest <= max(700, strip_px)


def test_a_part_of_a_level_is_shrunk():
    source = Picture(textured())
    got = np.zeros((40, 50, 3), np.uint8)
    shrink_in_strips(source, 0, (33, 21, 333, 222), got, 3000)
    expected = cv2.resize(source.pixels[21:243, 33:366], (50, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(got.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("compress", [True, False])
def test_the_thumbnail_of_a_slide_without_pyramid_is_read_in_strips(tmp_path, make_slide, monkeypatch, compress):
    picture = textured()
    path = tmp_path / "flat.svs"
    if compress:
        write_jpeg_slide(path, picture, downsamples=(1,))
    else:
        make_slide(path, picture, downsamples=(1,))
    with Slide(path) as slide:
        whole = slide.thumbnail(4.0, 0.5)
        monkeypatch.setattr(reader, "STRIP_PX", 20_000)
        monkeypatch.setattr(reader, "MAX_READ_PX", 10_000)
        strips = slide.thumbnail(4.0, 0.5)
    assert whole.shape == strips.shape == (66, 88, 3)
    assert np.abs(whole.astype(int) - strips).max() <= 1
