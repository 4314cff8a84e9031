import numpy as np
import pytest

import tile_slide
from histossl.tiles.coords_file import read_coords
from histossl.tiles.tissue_file import write_tissue

TILING = {"patch_px": 32, "spacing_um": 1.0, "overlap_px": 0, "min_tissue": 0.5}
RECTANGLE = [[[[128, 64], [512, 64], [512, 384], [128, 384], [128, 64]]]]


@pytest.fixture
def tile(tmp_path, as_json):
    def run(metadata, polygons, reason="", **changed):
        write_tissue(tmp_path / "tissue.geojson", polygons, {"reason": reason})
        inputs = [f"--tissue={tmp_path / 'tissue.geojson'}", f"--metadata={metadata}"]
        tile_slide.main([*inputs, f"--settings={as_json({**TILING, **changed})}", f"--output={tmp_path / 'a.h5'}"])
        return read_coords(tmp_path / "a.h5")

    return run


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
        (RECTANGLE, "", {"patch_px": 400}, "no patch holds 50% tissue"),
        (RECTANGLE, "", {"spacing_um": 0.25}, "scanned at 0.5 µm/px, coarser than the 0.25 asked for"),
    ],
)
def test_a_slide_without_patches_says_why(tile, metadata_file, polygons, reason, changed, said):
    tiles = tile(metadata_file, polygons, reason, **changed)
    assert len(tiles.coords) == 0
    assert tiles.reason == said


def test_a_slide_left_out_keeps_its_reason(tile, excluded_metadata):
    tiles = tile(excluded_metadata, [], "no such slide")
    assert (len(tiles.coords), tiles.reason, tiles.slide) == (0, "no such slide", "bad")
