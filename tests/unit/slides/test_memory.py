"""Slides handled by one process leave nothing behind."""

import gc
from pathlib import Path

import numpy as np
from PIL import Image

from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from tests.unit.slides.conftest import textured, write_jpeg_slide


def resident_mb():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_three_hundred_slides_in_a_row_leave_nothing_behind(tmp_path, make_slide):
    picture = textured(640, 480)
    paths = [write_jpeg_slide(tmp_path / "a.svs", picture), make_slide(tmp_path / "b.svs", picture)]
    Image.fromarray(picture).save(tmp_path / "c.png")
    paths.append(tmp_path / "c.png")
    coords = np.array([(x, y) for y in range(0, 400, 110) for x in range(0, 500, 110)])

    def read(number):
        with Slide(paths[number % 3]) as slide:
            slide.thumbnail(8.0, 0.5)
            for _ in read_patches(slide, coords, 200, 100):
                pass

    for number in range(12):
        read(number)
    memory, files = resident_mb(), open_files()
    for number in range(300):
        read(number)
    assert open_files() == files
    assert resident_mb() - memory < 30


def test_a_slide_that_cannot_be_used_leaves_no_open_file(tmp_path):
    whole = write_jpeg_slide(tmp_path / "a.svs").read_bytes()
    (tmp_path / "a.svs").write_bytes(whole[:-100])
    files = open_files()
    for _ in range(5):
        try:
            Slide(tmp_path / "a.svs")
        except Exception as error:
            assert "a.svs" in str(error)
    assert open_files() == files
