import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import tile_slide
from histossl.errors import UserError
from histossl.slides.metadata import inspect_slide, write_metadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.tissue_file import write_tissue

TILING = {"patch_px": 32, "spacing_um": 1.0, "overlap_px": 0, "min_tissue": 0.5}
RECTANGLE = [[[[128, 64], [512, 64], [512, 384], [128, 384], [128, 64]]]]
BLUR = {"max_blank": None, "max_pen": None, "max_fold": None, "min_sharpness": 2.5}


@pytest.fixture
def tile(tmp_path, as_json):
    def run(metadata, polygons, reason="", options=(), facts=(), **changed):
        write_tissue(tmp_path / "tissue.geojson", polygons, {"reason": reason, **dict(facts)})
        inputs = [f"--tissue={tmp_path / 'tissue.geojson'}", f"--metadata={metadata}", *options]
        tile_slide.main([*inputs, f"--settings={as_json({**TILING, **changed})}", f"--output={tmp_path / 'a.h5'}"])
        return read_coords(tmp_path / "a.h5")

    return run


@pytest.fixture
def textured(tmp_path, make_slide):
    """A slide at 0.5 µm/px whose left half is sharp and whose right half is not; its metadata and its file."""
    rng = np.random.default_rng(5)
    # Detail of all sizes, as tissue has it.
    layers = [cv2.GaussianBlur(rng.normal(0, 1, (512, 640)), (0, 0), px) * 40 * px for px in (1, 2, 4, 8)]
    picture = np.clip(np.array((170, 120, 160)) + np.sum(layers, 0)[..., None], 0, 255).astype(np.uint8)
    picture[:, 320:] = cv2.GaussianBlur(picture[:, 320:], (0, 0), 4)
    slide = make_slide(tmp_path / "half.svs", picture)
    write_metadata(tmp_path / "half.json", inspect_slide("half", slide, None, None))
    return tmp_path / "half.json", slide


def test_patches_fill_the_tissue_and_nothing_else(tile, metadata_file):
    tiles = tile(metadata_file, RECTANGLE)
    expected = [(x, y) for y in range(64, 384, 64) for x in range(128, 512, 64)]
    assert list(map(tuple, tiles.coords)) == expected
    assert (tiles.patch_level0, tiles.slide, tiles.reason) == (64.0, "blob", "")


def test_neighbours_share_the_overlap(tile, metadata_file):
    tiles = tile(metadata_file, RECTANGLE, overlap_px=16)
    assert np.unique(np.diff(np.unique(tiles.coords[:, 0]))).tolist() == [32]


@pytest.mark.parametrize(
    ("polygons", "reason", "changed", "said"),
    [
        ([], "no tissue found", {}, "no tissue found"),
        (RECTANGLE, "", {"patch_px": 250, "min_tissue": 0.9}, "no patch holds 90% tissue"),
        (RECTANGLE, "", {"patch_px": 400}, "the slide of 640 x 512 px is smaller than a patch of 800 px"),
        (RECTANGLE, "", {"spacing_um": 0.25}, "scanned at 0.5 µm/px, coarser than the 0.25 asked for"),
    ],
)
def test_a_slide_without_patches_says_why(tile, metadata_file, polygons, reason, changed, said, capsys):
    tiles = tile(metadata_file, polygons, reason, **changed)
    assert len(tiles.coords) == 0
    assert tiles.reason == said
    assert capsys.readouterr().out == f"blob: 0 patches ({said})\n"


def test_a_slide_left_out_keeps_its_reason(tile, excluded_metadata):
    tiles = tile(excluded_metadata, [], "no such slide", options=["--file=/nowhere.svs"], quality=BLUR)
    assert (len(tiles.coords), tiles.slide) == (0, "bad")
    assert "no such slide file" in tiles.reason


def test_upsampling_is_done_where_allowed(tile, metadata_file):
    tiles = tile(metadata_file, RECTANGLE, spacing_um=0.25, allow_upsampling=True)
    assert (tiles.patch_level0, tiles.spacing_um, tiles.patch_px) == (16.0, 0.25, 32)
    assert len(tiles.coords) == 24 * 20


def test_patches_on_ink_are_dropped_and_counted(tile, metadata_file, capsys):
    ink = [[[[0, 0], [640, 0], [640, 100], [0, 100], [0, 0]]]]
    tiles = tile(metadata_file, RECTANGLE, facts={"excluded": ink})
    assert tiles.dropped == {"pen_or_fill": 6}
    assert tiles.coords[:, 1].min() == 128
    assert capsys.readouterr().out == "blob: 24 patches (6 dropped: pen_or_fill)\n"


def test_without_a_filter_nothing_is_counted_and_the_slide_is_not_read(tile, metadata_file):
    tiles = tile(metadata_file, RECTANGLE, options=["--file=/nowhere.svs"], quality=None)
    assert (len(tiles.coords), tiles.dropped) == (30, {})


@pytest.mark.parametrize("threads", [1, 2])
def test_the_filter_drops_and_counts(tile, textured, threads):
    metadata, slide = textured
    whole = [[[[0, 0], [640, 0], [640, 512], [0, 512], [0, 0]]]]
    options = [f"--file={slide}", "--on-bad-slide=fail", f"--threads={threads}"]
    tiles = tile(metadata, whole, options=options, spacing_um=0.5, patch_px=64, quality=BLUR)
    assert tiles.coords[:, 0].max() == 256
    assert len(tiles.coords) == 5 * 8
    assert tiles.dropped == {"blur": 5 * 8}


def test_a_slide_of_which_nothing_is_left_says_why(tile, textured):
    metadata, slide = textured
    right = [[[[384, 0], [640, 0], [640, 512], [384, 512], [384, 0]]]]
    tiles = tile(metadata, right, options=[f"--file={slide}"], spacing_um=0.5, patch_px=64, quality=BLUR)
    assert (len(tiles.coords), tiles.dropped) == (0, {"blur": 32})
    assert tiles.reason == "the quality filter leaves none of 32 patches (32 blur)"


def test_a_slide_that_breaks_while_it_is_judged_is_a_result(tile, textured, capsys):
    metadata, slide = textured
    slide.write_bytes(slide.read_bytes()[: slide.stat().st_size // 3])
    tiles = tile(metadata, RECTANGLE, options=[f"--file={slide}", "--on-bad-slide=exclude"], quality=BLUR)
    assert len(tiles.coords) == 0
    assert "half.svs" in tiles.reason
    assert "slide half is left out" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"half\.svs"):
        tile(metadata, RECTANGLE, options=[f"--file={slide}", "--on-bad-slide=fail"], quality=BLUR)


def test_a_filter_needs_the_slide(tile, metadata_file):
    with pytest.raises(SystemExit):
        tile(metadata_file, RECTANGLE, quality=BLUR)


def test_the_script_never_imports_torch():
    code = f"import sys; sys.path.insert(0, {str(Path(tile_slide.__file__).parent)!r}); import tile_slide"
    check = "; sys.exit(' '.join({'torch', 'timm', 'sklearn'} & set(sys.modules)) or 0)"
    assert subprocess.run([sys.executable, "-c", code + check], check=False).returncode == 0
