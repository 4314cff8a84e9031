"""Tiles decoded straight from the file give OpenSlide's pixels, or are not used."""

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from histossl.errors import UserError
from histossl.slides import checked_jpeg, tiled_jpeg
from histossl.slides.checked_jpeg import CheckedJpeg
from histossl.slides.openslide_source import OpenSlideSource
from histossl.slides.patches import read_patches, read_patches_into
from histossl.slides.reader import Slide
from histossl.slides.tiled_jpeg import TiledJpeg
from tests.unit.slides.conftest import textured, write_jpeg_slide

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def through_openslide(path, x, y, width, height, level=0):
    """OpenSlide's pixels on white."""
    with openslide.OpenSlide(path) as slide:
        rgba = np.asarray(slide.read_region((x, y), level, (width, height)))
    return np.where(rgba[..., 3:] == 255, rgba[..., :3], 255)


@pytest.mark.parametrize("tile", [64, 240, 256])
@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"aperio": False},
        {"subsampling": (1, 1)},
        {"subsampling": (2, 1), "bigtiff": True},
        {"photometric": "ycbcr"},
    ],
    ids=str,
)
def test_pixels_equal_those_of_openslide(tmp_path, tile, tags):
    path = write_jpeg_slide(tmp_path / "a.svs", tile=tile, **tags)
    rng = np.random.default_rng(1)
    with Slide(path) as slide:
        assert slide.source.is_fast(0) and slide.source.is_fast(1)
        for _ in range(25):
            x, y = (int(value) for value in rng.integers(-80, 720, 2))
            width, height = (int(value) for value in rng.integers(1, 400, 2))
            got = slide.read(x, y, (width, height), (width, height))
            np.testing.assert_array_equal(got, through_openslide(path, x, y, width, height))
        whole = slide.read(0, 0, (700, 530), (175, 132))  # level 1, whose origin is the one whole pixel
        np.testing.assert_array_equal(whole, through_openslide(path, 0, 0, 175, 132, level=1))


def test_each_corner_of_the_grid_of_tiles_is_right(jpeg_slide):
    # Wholly within one tile, on its edges, and the last tiles, which hold padding beyond the slide.
    for x in (0, 63, 64, 640, 699):
        for y in (0, 64, 512, 529):
            with Slide(jpeg_slide) as slide:
                for side in (1, 64, 65):
                    got = slide.read(x, y, (side, side), (side, side))
                    np.testing.assert_array_equal(got, through_openslide(jpeg_slide, x, y, side, side))


def test_wholly_outside_there_is_glass(jpeg_slide):
    with Slide(jpeg_slide) as slide:
        for x, y in ((-100, 5), (5, -100), (700, 0), (0, 530), (5000, 5000)):
            assert (slide.read(x, y, (64, 64), (64, 64)) == 255).all()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real slides are not in {DATA}")
@pytest.mark.parametrize(("name", "fast"), [("cmu-1-small-region.svs", True), ("tcga-cr-7395.svs", False)])
def test_real_slides_equal_openslide(name, fast):
    path = DATA / name
    rng = np.random.default_rng(0)
    with Slide(path) as slide:
        assert isinstance(slide.source, CheckedJpeg) == fast  # the other one is JPEG 2000
        if fast:
            assert slide.source.is_fast(0)
        for _ in range(10):
            x, y = int(rng.integers(-100, slide.width_px)), int(rng.integers(-100, slide.height_px))
            np.testing.assert_array_equal(
                slide.read(x, y, (300, 200), (300, 200)), through_openslide(path, x, y, 300, 200)
            )


def test_patches_in_reading_order_decode_each_tile_once(tmp_path, monkeypatch):
    path = write_jpeg_slide(tmp_path / "a.svs", textured(1280, 1024))
    coords = np.array([(x, y) for y in range(10, 900, 100) for x in range(7, 1100, 100)])
    decoded = []
    with Slide(path) as slide:
        slide.source.is_fast(0)
        slide.source._tiles._cache.clear()
        original = TiledJpeg._decode_into
        monkeypatch.setattr(
            TiledJpeg,
            "_decode_into",
            lambda self, directory, index, tile: decoded.append(index) or original(self, directory, index, tile),
        )
        for _ in read_patches(slide, coords, 100, 100):
            pass
    assert len(decoded) == len(set(decoded)) > 200


def test_the_cache_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_jpeg, "MAX_CACHE_BYTES", 20 * 64 * 64 * 3)
    path = write_jpeg_slide(tmp_path / "a.svs", textured(1280, 1024))
    with Slide(path) as slide:
        got = slide.read(0, 0, (1280, 1024), (1280, 1024))
        cache = slide.source._tiles._cache
        assert 0 < sum(tile.nbytes for tile in cache._tiles.values()) <= 20 * 64 * 64 * 3
    np.testing.assert_array_equal(got, through_openslide(path, 0, 0, 1280, 1024))


def test_threads_read_the_same_pixels(jpeg_slide):
    coords = np.array([(x, y) for y in range(0, 400, 37) for x in range(0, 600, 41)])
    with Slide(jpeg_slide) as slide:
        alone = list(read_patches(slide, coords, 90, 90))
    with Slide(jpeg_slide) as slide, ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda at: next(read_patches(slide, at[None], 90, 90)), coords))
    np.testing.assert_array_equal(alone, together)


def test_patches_into_a_buffer_are_the_same(jpeg_slide):
    coords = np.array([[3, 5], [600, 500], [64, 64]])
    with Slide(jpeg_slide) as slide:
        for side, px in ((64, 64), (100, 40), (20, 50)):
            buffer = np.zeros((3, px, px, 3), np.uint8)
            read_patches_into(slide, coords, side, buffer)
            np.testing.assert_array_equal(buffer, list(read_patches(slide, coords, side, px)))


def rewrite_tag(path, tag, value, page=0):
    """Give a tag one LONG as its value."""
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[page].tags[tag].offset
    content = bytearray(path.read_bytes())
    struct.pack_into("<HII", content, place + 2, 4, 1, value)
    path.write_bytes(content)


def test_a_wrong_reading_of_colours_is_not_used(tmp_path, monkeypatch):
    path = write_jpeg_slide(tmp_path / "a.svs")
    monkeypatch.setattr(tiled_jpeg, "COLOUR_SPACES", {2: "YCBCR", 6: "RGB"})
    with Slide(path) as slide:
        assert not slide.source.is_fast(0) and not slide.source.is_fast(1)
        got = slide.read(10, 10, (200, 200), (200, 200))
    np.testing.assert_array_equal(got, through_openslide(path, 10, 10, 200, 200))


def test_a_shift_by_one_pixel_is_noticed_on_a_level_that_openslide_interpolates(jpeg_slide, monkeypatch):
    original = TiledJpeg.read_level
    monkeypatch.setattr(TiledJpeg, "read_level", lambda self, level, x, y, out: original(self, level, x + 1, y, out))
    with Slide(jpeg_slide) as slide:
        assert slide.level_downsamples[1] != 4
        assert not slide.source.is_fast(1)


@pytest.mark.parametrize(("tag", "value"), [("Compression", 8), ("PlanarConfiguration", 2), ("BitsPerSample", 16)])
def test_other_layouts_are_left_to_openslide(jpeg_slide, tmp_path, tag, value):
    path = tmp_path / "a.svs"
    path.write_bytes(jpeg_slide.read_bytes())
    if tag == "BitsPerSample":  # three values, elsewhere in the file
        with tifffile.TiffFile(path) as tiff:
            place = tiff.pages[0].tags[tag].valueoffset
        content = bytearray(path.read_bytes())
        struct.pack_into("<3H", content, place, *(value,) * 3)
        path.write_bytes(content)
    else:
        rewrite_tag(path, tag, value)
    try:
        with Slide(path) as slide:
            assert not getattr(slide.source, "is_fast", lambda _: False)(0)
    except UserError as error:
        assert "a.svs" in str(error)  # OpenSlide itself refuses


def cut_tile(path, index, page=0):
    """State a length of zero for one tile, as scanners do for what they left out."""
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[page].tags["TileByteCounts"]
        size = {3: 2, 4: 4}[int(tag.dtype)]
    content = bytearray(path.read_bytes())
    content[tag.valueoffset + index * size : tag.valueoffset + (index + 1) * size] = bytes(size)
    path.write_bytes(content)


def test_a_level_with_a_tile_left_out_is_left_to_openslide(tmp_path):
    path = write_jpeg_slide(tmp_path / "a.svs")
    cut_tile(path, 3)
    with Slide(path) as slide:
        assert not slide.source.is_fast(0)
        assert slide.source.is_fast(1)
        got = slide.read(0, 0, (64, 64), (64, 64))
    np.testing.assert_array_equal(got, through_openslide(path, 0, 0, 64, 64))


@pytest.mark.parametrize("filling", [b"\xff", b"\0", b"\xff\xd8\xff\xe0"])
def test_a_damaged_tile_is_an_error_with_its_place(tmp_path, filling):
    path = write_jpeg_slide(tmp_path / "a.svs")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        index = sorted(range(len(page.databytecounts)), key=lambda i: page.databytecounts[i])[5]
        start, length = page.dataoffsets[index], page.databytecounts[index]
    content = bytearray(path.read_bytes())
    content[start : start + length] = (filling * length)[:length]
    path.write_bytes(content)
    y, x = (part * 64 for part in divmod(index, 11))
    with Slide(path) as slide:
        assert slide.source.is_fast(0)
        with pytest.raises(UserError, match=rf"a\.svs: damaged at level-0 x={x}, y={y}"):
            slide.read(x, y, (64, 64), (64, 64))


def test_flipped_bytes_never_give_other_pixels_than_openslide(tmp_path):
    whole = write_jpeg_slide(tmp_path / "whole.svs", textured(256, 256), downsamples=(1,))
    with tifffile.TiffFile(whole) as tiff:
        page = tiff.pages[0]
        start, end = min(page.dataoffsets), max(page.dataoffsets) + 1
    rng = np.random.default_rng(4)
    outcomes = {"equal": 0, "refused": 0}
    for number in range(60):
        content = bytearray(whole.read_bytes())
        content[int(rng.integers(start, end))] ^= int(rng.integers(1, 256))
        path = tmp_path / f"{number}.svs"
        path.write_bytes(content)
        with Slide(path) as slide:
            try:
                got = slide.read(0, 0, (256, 256), (256, 256))
            except UserError:
                outcomes["refused"] += 1
                continue
        np.testing.assert_array_equal(got, through_openslide(path, 0, 0, 256, 256))
        outcomes["equal"] += 1
    assert min(outcomes.values()) > 0


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.999])
def test_a_truncated_file_is_named_when_it_is_opened(jpeg_slide, tmp_path, kept):
    content = jpeg_slide.read_bytes()
    path = tmp_path / "cut.svs"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match=r"cut\.svs: (is truncated|OpenSlide cannot open)"):
        Slide(path)


def test_truncation_is_told_by_both_lengths(jpeg_slide):
    found = checked_jpeg.read_tiled_directories(jpeg_slide)
    checked_jpeg.refuse_truncated(jpeg_slide, found)
    found[0].counts[0] += 10**6
    with pytest.raises(UserError, match=f"the file at {jpeg_slide.stat().st_size}"):
        checked_jpeg.refuse_truncated(jpeg_slide, found)


def test_another_vendor_is_left_to_openslide(jpeg_slide):
    beside = OpenSlideSource(jpeg_slide)
    beside.properties = {**beside.properties, "openslide.vendor": "philips"}
    assert checked_jpeg.open_checked(beside) is None
    beside.close()


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ({"ImageWidth": 60_000, "ImageLength": 60_000}, "60000 x 60000 px has 879844 tiles but lists 99 places"),
        ({"ImageLength": 60_000}, "700 x 60000 px"),
        ({"ImageWidth": 2**31 - 1, "ImageLength": 2**31 - 1}, "replace the file"),
        ({"TileWidth": 2**16, "TileLength": 2**16}, "claims tiles of 65536 x 65536 px"),
    ],
    ids=str,
)
@pytest.mark.parametrize("aperio", [True, False])
def test_a_size_that_the_file_does_not_have_is_refused(tmp_path, claimed, said, aperio):
    path = write_jpeg_slide(tmp_path / "a.svs", aperio=aperio)
    for tag, value in claimed.items():
        rewrite_tag(path, tag, value)
    with pytest.raises(UserError, match=rf"a\.svs: .*{said}"):
        Slide(path)
