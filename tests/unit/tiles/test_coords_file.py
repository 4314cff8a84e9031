import json

import cv2
import h5py
import numpy as np
import openslide
import pytest

from histossl.errors import UserError
from histossl.slides.metadata import SlideMetadata
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.tiles.coords_file import Tiling, read_coords, write_coords

METADATA = SlideMetadata("Müller 1", "ok", "", 5000, 4000, (1.0, 4.0), 0.25, "vendor")
COORDS = np.array([[0, 0], [512, 0], [1024, 256]])
TILING = Tiling(224, 0.5, 32, 0.5)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "a.h5"
    write_coords(path, COORDS, np.array([0.5, 1.0, 0.75]), TILING, METADATA, "", {"blur": 3, "pen": 0})
    return path


def test_coordinates_survive_the_file(written):
    tiles = read_coords(written)
    np.testing.assert_array_equal(tiles.coords, COORDS)
    assert tiles.coords.dtype == np.int64
    assert (tiles.slide, tiles.patch_px, tiles.patch_level0, tiles.spacing_um) == ("Müller 1", 224, 448.0, 0.5)
    assert tiles.reason == ""
    assert tiles.dropped == {"blur": 3, "pen": 0}


def test_all_attributes_of_both_peers_are_there(written):
    with h5py.File(written, "r") as file:
        attributes = dict(file["coords"].attrs)
        np.testing.assert_allclose(file["tissue_fraction"][:], [0.5, 1.0, 0.75])
    clam = {"patch_size", "patch_level", "downsample", "downsampled_level_dim", "level_dim", "name", "save_path"}
    trident = {"patch_size", "patch_size_level0", "level0_magnification", "target_magnification", "overlap", "name"}
    assert clam | trident | {"savetodir", "level0_width", "level0_height"} <= set(attributes)
    assert (attributes["level0_width"], attributes["level0_height"]) == tuple(attributes["level_dim"]) == (5000, 4000)
    # TRIDENT's overlap is in pixels of the same scale as patch_size.
    assert (attributes["patch_size"], attributes["overlap"]) == (448, 64)
    assert (attributes["patch_px"], attributes["overlap_px"], attributes["level0_spacing_um"]) == (224, 32, 0.25)
    assert (attributes["spacing_source"], attributes["upsampled"]) == ("vendor", False)


def test_what_was_asked_of_quality_is_kept(tmp_path):
    tiling = Tiling(224, 0.2, 0, 0.5, allow_upsampling=True, quality={"max_blank": 0.9, "min_sharpness": None})
    write_coords(tmp_path / "a.h5", COORDS, np.ones(3), tiling, METADATA, "")
    with h5py.File(tmp_path / "a.h5", "r") as file:
        attributes = dict(file["coords"].attrs)
    assert json.loads(attributes["quality"]) == tiling.quality
    assert attributes["upsampled"]


# --- what the peers would read -----------------------------------------------------------------------------------


def draw_waves(width_px, height_px):
    """Smooth waves of different length in each channel: a field that is shifted or scaled reads differently."""
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    waves = [np.sin(x / 23 + y / 91), np.sin(y / 29 - x / 77), np.sin((x + y) / 37)]
    return np.clip(128 + 100 * np.stack(waves, 2), 0, 255).astype(np.uint8)


def read_as_clam(path, slide_file):
    """As CLAM's feature extraction reads patches."""
    with h5py.File(path, "r") as file, openslide.OpenSlide(slide_file) as slide:
        attributes = file["coords"].attrs
        level, side = attributes["patch_level"], attributes["patch_size"]
        return [np.asarray(slide.read_region(xy, level, (side, side)).convert("RGB")) for xy in file["coords"]]


def trident_side(attributes):
    """The side that TRIDENT's patcher makes of the attributes, level-0 px."""
    source_um, target_um = 10 / attributes["level0_magnification"], 10 / attributes["target_magnification"]
    return round(attributes["patch_size"] * (target_um / source_um))


def read_as_trident(path, slide_file):
    """As TRIDENT's patcher reads them, from level 0, which differs from its choice of level in speed alone."""
    with h5py.File(path, "r") as file, openslide.OpenSlide(slide_file) as slide:
        attributes = dict(file["coords"].attrs)
        side = trident_side(attributes)
        tiles = [np.asarray(slide.read_region(xy, 0, (side, side)).convert("RGB")) for xy in file["coords"][:]]
        size = (int(attributes["patch_size"]),) * 2
        return [cv2.resize(tile, size, interpolation=cv2.INTER_AREA) for tile in tiles]


def read_as_we_do(path, slide_file, level0_spacing_um=None):
    tiles = read_coords(path, level0_spacing_um)
    with Slide(slide_file) as slide:
        return list(read_patches(slide, tiles.coords, tiles.patch_level0, tiles.patch_px))


def difference(ours, theirs):
    """Mean absolute difference, after both have the size that a network is given."""
    size = ours[0].shape[:2]
    resized = [cv2.resize(tile, size, interpolation=cv2.INTER_AREA) for tile in theirs]
    return np.abs(np.stack(ours).astype(float) - np.stack(resized)).mean()


@pytest.mark.parametrize("level0_um", [0.25, 0.2525, 0.2325, 0.499])
@pytest.mark.parametrize("read_theirs", [read_as_clam, read_as_trident])
def test_peers_read_the_field_that_we_read(tmp_path, make_slide, level0_um, read_theirs):
    slide_file = make_slide(tmp_path / "a.svs", draw_waves(1280, 1024), spacing_um=level0_um)
    metadata = SlideMetadata("a", "ok", "", 1280, 1024, (1.0, 4.0), level0_um, "vendor")
    coords = np.array([[0, 0], [301, 55], [777, 505]])
    write_coords(tmp_path / "a.h5", coords, np.ones(3), Tiling(112, 0.5, 0, 0.5), metadata, "")
    ours, theirs = read_as_we_do(tmp_path / "a.h5", slide_file), read_theirs(tmp_path / "a.h5", slide_file)
    assert abs(theirs[0].shape[0] * level0_um - 112 * 0.5) <= level0_um / 2
    assert difference(ours, theirs) < 2.5
    # A field that is a tenth larger, as rounding to a magnification makes it, is told apart.
    assert difference(ours, [cv2.resize(tile, None, fx=1.1, fy=1.1)[:112, :112] for tile in ours]) > 10


@pytest.mark.parametrize("spacing_um", [0.05, 0.25, 0.2525, 0.5, 1.7, 25.0])
def test_tridents_field_is_patch_size_level0(tmp_path, spacing_um):
    metadata = SlideMetadata("a", "ok", "", 50_000, 40_000, (1.0,), spacing_um, "sheet")
    write_coords(tmp_path / "a.h5", COORDS, np.ones(3), Tiling(256, 0.5, 0, 0.5), metadata, "")
    with h5py.File(tmp_path / "a.h5", "r") as file:
        attributes = dict(file["coords"].attrs)
    assert trident_side(attributes) == attributes["patch_size_level0"] == round(256 * 0.5 / spacing_um)
    assert read_coords(tmp_path / "a.h5").patch_level0 == pytest.approx(256 * 0.5 / spacing_um, rel=1e-12)


def test_a_side_that_is_not_whole_is_kept_exactly(tmp_path):
    metadata = SlideMetadata("a", "ok", "", 5000, 4000, (1.0,), 0.2528, "vendor")
    write_coords(tmp_path / "a.h5", COORDS, np.ones(3), TILING, metadata, "")
    assert read_coords(tmp_path / "a.h5").patch_level0 == pytest.approx(224 * 0.5 / 0.2528, rel=1e-12)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file["coords"].attrs["patch_size_level0"] == 443


# --- what the peers write ----------------------------------------------------------------------------------------


def write_as_clam(path, coords, patch_size, level, downsample, **more):
    """As CLAM's `create_patches_fp` leaves `patches/<id>.h5`."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("coords", data=coords, maxshape=(None, 2), chunks=(1, 2))
        size = (int(1280 / downsample), int(1024 / downsample))
        dataset.attrs.update(patch_size=patch_size, patch_level=level, name="TCGA-1", save_path="RESULTS/patches")
        dataset.attrs.update(downsample=(downsample, downsample), downsampled_level_dim=size, level_dim=size, **more)


def write_as_trident(path, coords, patch_size, source_mag, target_mag):
    """As TRIDENT's `coords_to_h5` leaves `<id>_patches.h5`."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("coords", data=coords, maxshape=(None, 2), chunks=(1, 2))
        dataset.attrs.update(patch_size=patch_size, patch_size_level0=patch_size * source_mag // target_mag)
        dataset.attrs.update(level0_magnification=source_mag, target_magnification=target_mag, overlap=0)
        dataset.attrs.update(name="TCGA-1", savetodir="out", level0_width=1280, level0_height=1024)


@pytest.mark.parametrize(("level", "downsample"), [(0, 1.0), (1, 4.0)])
def test_clams_coordinates_are_read_as_clam_reads_them(tmp_path, make_slide, level, downsample):
    slide_file = make_slide(tmp_path / "a.svs", draw_waves(1280, 1024), spacing_um=0.2525)
    write_as_clam(tmp_path / "a.h5", np.array([[0, 0], [512, 128]], np.int32), 64, level, downsample)
    tiles = read_coords(tmp_path / "a.h5", 0.2525)
    assert (tiles.slide, tiles.patch_px, tiles.patch_level0) == ("TCGA-1", 64, 64 * downsample)
    assert tiles.spacing_um == pytest.approx(0.2525 * downsample)
    assert (tiles.coords.dtype, tiles.reason, tiles.dropped) == (np.int64, "", {})
    theirs = read_as_clam(tmp_path / "a.h5", slide_file)
    np.testing.assert_array_equal(np.stack(read_as_we_do(tmp_path / "a.h5", slide_file, 0.2525)), np.stack(theirs))


@pytest.mark.parametrize(("patch_size", "source_mag", "target_mag"), [(64, 40, 20), (100, 40, 40), (51, 60, 40)])
def test_tridents_coordinates_are_read_as_trident_reads_them(tmp_path, make_slide, patch_size, source_mag, target_mag):
    slide_file = make_slide(tmp_path / "a.svs", draw_waves(1280, 1024), spacing_um=0.265, downsamples=(1,))
    write_as_trident(tmp_path / "a.h5", np.array([[0, 0], [512, 128]]), patch_size, source_mag, target_mag)
    tiles = read_coords(tmp_path / "a.h5", 0.265)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert tiles.patch_level0 == pytest.approx(trident_side(dict(file["coords"].attrs)))
    # The true scale of a slide that TRIDENT calls 40x, not 10 / 20 µm/px.
    assert tiles.spacing_um == pytest.approx(0.265 * tiles.patch_level0 / patch_size)
    theirs = read_as_trident(tmp_path / "a.h5", slide_file)
    assert difference(read_as_we_do(tmp_path / "a.h5", slide_file, 0.265), theirs) < 1


def test_a_further_downsample_of_a_fork_enlarges_the_field(tmp_path):
    write_as_clam(tmp_path / "a.h5", COORDS, 256, 1, 4.0, custom_downsample=2)
    assert read_coords(tmp_path / "a.h5", 0.25).patch_level0 == 256 * 8


def test_bare_coordinates_take_their_name_from_the_file(tmp_path):
    with h5py.File(tmp_path / "x.1_patches.h5", "w") as file:
        file["coords"] = COORDS
        file["coords"].attrs.update(patch_size=256, patch_level=0)
    tiles = read_coords(tmp_path / "x.1_patches.h5", 0.5)
    assert (tiles.slide, tiles.patch_level0, tiles.spacing_um) == ("x.1", 256.0, 0.5)


def test_our_own_file_needs_no_scale_and_heeds_none(written):
    assert read_coords(written, 99.0).spacing_um == 0.5


def test_peers_files_without_the_slides_scale_are_refused(tmp_path):
    write_as_clam(tmp_path / "a.h5", COORDS, 256, 0, 1.0)
    with pytest.raises(UserError, match=r"a\.h5: coordinates of CLAM or TRIDENT state no µm/px"):
        read_coords(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("coords", "attributes", "said"),
    [
        (COORDS, {"patch_size": 256, "patch_level": 2}, "patch_level is 2"),
        (COORDS, {"patch_size": 256, "patch_level": 1, "downsample": (0.0, 0.0)}, "reduced by 0"),
        (COORDS, {"patch_size": 0, "level0_magnification": 40, "target_magnification": 20}, "patch_size is 0"),
        (COORDS, {"patch_size": 256, "level0_magnification": 40, "target_magnification": 0}, "reduced by"),
        (COORDS, {"patch_level": 0}, "patch_size"),
        (COORDS[:, :1], {"patch_size": 256, "patch_level": 0}, r"shape \(3, 1\)"),
        (COORDS * 0.5, {"patch_size": 256, "patch_level": 0}, "float64"),
    ],
)
def test_peers_files_that_make_no_sense_are_named(tmp_path, coords, attributes, said):
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["coords"] = coords
        file["coords"].attrs.update(attributes)
    with pytest.raises(UserError, match=rf"bad\.h5: not a readable coordinate file \(.*{said}"):
        read_coords(tmp_path / "bad.h5", 0.25)


@pytest.mark.parametrize("shape", [(0, 2), (0,)])
def test_peers_files_without_patches_are_read(tmp_path, shape):
    write_as_trident(tmp_path / "a.h5", np.zeros((1, 2), np.int64), 256, 40, 20)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        attributes = dict(file["coords"].attrs)
        del file["coords"]
        file["coords"] = np.zeros(shape, np.int64)
        file["coords"].attrs.update(attributes)
    assert read_coords(tmp_path / "a.h5", 0.25).coords.shape == (0, 2)


# --- the file itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [METADATA, SlideMetadata("b", "excluded", "broken")])
def test_no_patches_is_a_file_with_a_reason(tmp_path, metadata):
    path = tmp_path / "a.h5"
    write_coords(path, np.zeros((0, 2)), np.zeros(0), TILING, metadata, "no tissue found: µm")
    tiles = read_coords(path)
    assert tiles.coords.shape == (0, 2)
    assert tiles.reason == "no tissue found: µm"
    with h5py.File(path, "r") as file:  # both peers divide by these
        assert file["coords"].attrs["level0_magnification"] >= 1
        assert file["coords"].attrs["target_magnification"] >= 1


@pytest.mark.parametrize("rows", [0, 1, 100_000])
def test_coordinates_lie_in_one_piece(tmp_path, rows):
    coords = np.arange(2 * rows).reshape(rows, 2)
    write_coords(tmp_path / "a.h5", coords, np.ones(rows), TILING, METADATA, "")
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file["coords"].chunks is None
    np.testing.assert_array_equal(read_coords(tmp_path / "a.h5").coords, coords)


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "other", "no attributes"])
def test_what_is_no_coordinate_file_is_named(tmp_path, written, damage):
    path = tmp_path / "bad.h5"
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "half":
        path.write_bytes(written.read_bytes()[: written.stat().st_size // 2])
    elif damage in ("other", "no attributes"):
        with h5py.File(path, "w") as file:
            file["coords" if damage == "no attributes" else "other"] = COORDS
    with pytest.raises(UserError, match=r"bad\.h5: not a readable coordinate file"):
        read_coords(path)
