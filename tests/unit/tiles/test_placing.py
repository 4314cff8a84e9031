import numpy as np
import pytest

from histossl.slides.metadata import SlideMetadata
from histossl.tiles.coords_file import Tiling
from histossl.tiles.placing import Placed, drop_patches, place_patches

RECTANGLE = [[[[128, 64], [512, 64], [512, 384], [128, 384], [128, 64]]]]
TILING = Tiling(32, 1.0, 0, 0.5)


def metadata(spacing_um=0.5, size=(640, 512)):
    return SlideMetadata("a", "ok", "", *size, (1.0,), spacing_um, "vendor")


@pytest.mark.parametrize("facts", [{}, {"scale": 1.0}, {"scale": 16.0}, {"scale": 32.0}])
def test_patches_fill_the_tissue_at_any_scale_of_the_mask(facts):
    placed = place_patches(RECTANGLE, facts, metadata(), TILING)
    assert list(map(tuple, placed.coords)) == [(x, y) for y in range(64, 384, 64) for x in range(128, 512, 64)]
    np.testing.assert_array_equal(placed.fractions, 1)
    assert (placed.reason, placed.dropped) == ("", {})


def test_no_patch_touches_ink_or_fill():
    ink = [[[[250, 100], [270, 100], [270, 400], [250, 400], [250, 100]]]]
    placed = place_patches(RECTANGLE, {"excluded": ink}, metadata(), TILING)
    assert placed.dropped == {"pen_or_fill": 10}
    assert len(placed.coords) == len(placed.fractions) == 20
    x, y = placed.coords.T
    assert not ((x < 270) & (x + 64 > 250) & (y < 400) & (y + 64 > 100)).any()


def test_ink_over_all_tissue_leaves_a_reason():
    placed = place_patches(RECTANGLE, {"excluded": RECTANGLE}, metadata(), TILING)
    assert (len(placed.coords), placed.dropped) == (0, {"pen_or_fill": 30})
    assert placed.reason == "all 30 patches with 50% tissue touch ink or fill"


@pytest.mark.parametrize(
    ("spacing_um", "kept"), [(0.9, True), (1.0, True), (1.0112, True), (1.021, False), (2.0, False)]
)
def test_a_slide_that_is_clearly_coarser_is_refused(spacing_um, kept):
    placed = place_patches(RECTANGLE, {}, metadata(spacing_um), TILING)
    assert bool(len(placed.coords)) == kept
    assert placed.reason == ("" if kept else f"scanned at {spacing_um:g} µm/px, coarser than the 1 asked for")


def test_upsampling_may_be_allowed():
    placed = place_patches(RECTANGLE, {}, metadata(2.0), Tiling(32, 1.0, 0, 0.5, allow_upsampling=True))
    # 32 µm of a slide of 2 µm/px are 16 of its pixels.
    assert len(placed.coords) == (384 // 16) * (320 // 16)


@pytest.mark.parametrize("um", [0.25, 0.2525, 0.2325])
def test_the_physical_grid_is_the_same_at_any_scale(um):
    """The same tissue, scanned at slightly different µm/px, gives the same places in µm."""
    size = (round(320 / um), round(256 / um))
    ring = [[x / um, y / um] for x, y in ((64, 32), (256, 32), (256, 192), (64, 192), (64, 32))]
    placed = place_patches([[ring]], {}, metadata(um, size), Tiling(64, 0.5, 0, 0.5))
    expected = [(x, y) for y in range(32, 192, 32) for x in range(64, 256, 32)]
    np.testing.assert_allclose(placed.coords * um, expected, atol=um)


@pytest.mark.parametrize(
    ("facts", "slide", "tiling", "polygons", "said"),
    [
        ({"reason": "no tissue found"}, metadata(), TILING, [], "no tissue found"),
        ({}, metadata(), TILING, [], "no tissue found"),
        ({}, SlideMetadata("a", "excluded", "gone"), TILING, [], "gone"),
        ({}, metadata(), Tiling(240, 1.0, 0, 0.9), RECTANGLE, "no patch holds 90% tissue"),
        (
            {},
            metadata(),
            Tiling(300, 1.0, 0, 0.5),
            RECTANGLE,
            "the slide of 640 x 512 px is smaller than a patch of 600 px",
        ),
    ],
)
def test_every_empty_result_has_a_reason(facts, slide, tiling, polygons, said):
    placed = place_patches(polygons, facts, slide, tiling)
    assert (len(placed.coords), len(placed.fractions), placed.reason) == (0, 0, said)


def test_dropped_patches_are_counted():
    placed = Placed(np.arange(8).reshape(4, 2), np.arange(4, dtype=np.float32), "", {"pen_or_fill": 2})
    some = drop_patches(placed, ["", "blur", "", "blank"], ("blank", "fold", "blur"))
    assert some.coords.tolist() == [[0, 1], [4, 5]]
    assert some.fractions.tolist() == [0, 2]
    assert some.dropped == {"pen_or_fill": 2, "blank": 1, "fold": 0, "blur": 1}
    assert some.reason == ""
    none = drop_patches(placed, ["blur", "blur", "blur", "blank"], ("blank", "blur"))
    assert len(none.coords) == 0
    assert none.reason == "the quality filter leaves none of 4 patches (1 blank, 3 blur)"
