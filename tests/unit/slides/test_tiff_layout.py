import numpy as np
import pytest
import tifffile

from histossl.slides.tiff_layout import MAX_DIRECTORIES, LayoutError, read_tiled_directories
from tests.unit.slides.conftest import textured, write_jpeg_slide


@pytest.mark.parametrize("tags", [{}, {"bigtiff": True}, {"order": ">"}, {"order": ">", "bigtiff": True}], ids=str)
def test_what_is_found_is_what_tifffile_finds(tmp_path, tags):
    path = write_jpeg_slide(tmp_path / "a.tif", downsamples=(1, 2, 13), **tags)
    found = read_tiled_directories(path)
    with tifffile.TiffFile(path) as tiff:
        assert len(found) == len(tiff.pages) == 3
        for own, page in zip(found, tiff.pages, strict=True):
            assert (own.width, own.height) == (page.imagewidth, page.imagelength)
            assert (own.tile_width, own.tile_height) == (page.tilewidth, page.tilelength)
            assert own.bits == (8, 8, 8)
            assert (own.compression, own.photometric, own.planar) == (7, page.photometric, 1)
            assert own.jpeg_tables == page.jpegtables
            assert own.offsets.tolist() == list(page.dataoffsets)
            assert own.counts.tolist() == list(page.databytecounts)
            assert own.end == max(np.add(page.dataoffsets, page.databytecounts))
            assert own.tiles_across == -(-page.imagewidth // 64)


def test_pictures_without_tiles_are_passed_over(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(textured(100, 80), photometric="rgb")
        tiff.write(textured(100, 80), photometric="rgb", tile=(32, 32))
    assert [(found.width, found.tile_width) for found in read_tiled_directories(path)] == [(100, 32)]


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0", b"PK\3\4" + bytes(99), b"II*\0\xff\xff\xff\x7f", bytes(999)])
def test_what_is_no_tiff_is_refused(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(LayoutError):
        read_tiled_directories(path)


def test_directories_in_a_loop_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    # One directory without entries, which names itself as the next.
    path.write_bytes(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0")
    with pytest.raises(LayoutError, match="loop"):
        read_tiled_directories(path)


def test_endless_directories_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    count = MAX_DIRECTORIES + 10
    places = [8 + 6 * i for i in range(count)]
    content = b"".join(b"\0\0" + (place + 6).to_bytes(4, "little") for place in places)
    path.write_bytes(b"II*\0\x08\0\0\0" + content)
    with pytest.raises(LayoutError, match="loop"):
        read_tiled_directories(path)


def test_no_damage_raises_anything_else(tmp_path):
    whole = write_jpeg_slide(tmp_path / "whole.tif", textured(200, 150)).read_bytes()
    with tifffile.TiffFile(tmp_path / "whole.tif") as tiff:
        start, data = tiff.pages[0].offset, min(tiff.pages[0].dataoffsets)
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.tif"
    refused = 0
    for _ in range(600):
        content = bytearray(whole)
        for place in rng.integers(start, data, 3):
            content[place] = rng.integers(256)
        path.write_bytes(content[: rng.integers(8, len(content))] if rng.random() < 0.2 else content)
        try:
            read_tiled_directories(path)
        except LayoutError:
            refused += 1
    assert refused > 100
