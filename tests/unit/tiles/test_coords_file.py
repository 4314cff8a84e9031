import h5py
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.slides.metadata import SlideMetadata
from histossl.tiles.coords_file import Tiling, read_coords, write_coords

METADATA = SlideMetadata("Müller 1", "ok", "", 5000, 4000, (1.0, 4.0), 0.25, "vendor")
COORDS = np.array([[0, 0], [512, 0], [1024, 256]])


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "a.h5"
    write_coords(path, COORDS, np.array([0.5, 1.0, 0.75]), Tiling(224, 0.5, 32, 0.5), METADATA, "")
    return path


def test_coordinates_survive_the_file(written):
    tiles = read_coords(written)
    np.testing.assert_array_equal(tiles.coords, COORDS)
    assert tiles.coords.dtype == np.int64
    assert (tiles.slide, tiles.patch_px, tiles.patch_level0, tiles.spacing_um) == ("Müller 1", 224, 448.0, 0.5)
    assert tiles.reason == ""


def test_clams_reader_finds_what_it_looks_for(written):
    """As CLAM's `Whole_Slide_Bag_FP` reads it."""
    with h5py.File(written, "r") as file:
        attributes = file["coords"].attrs
        assert file["coords"].shape == (3, 2)
        assert (attributes["patch_level"], attributes["patch_size"]) == (0, 224)
        assert attributes["name"] == "Müller 1"
        assert {"downsample", "downsampled_level_dim", "level_dim", "save_path"} <= set(attributes)
        assert tuple(attributes["level_dim"]) == (5000, 4000)
        assert attributes["custom_downsample"] == 2.0


def test_tridents_reader_finds_what_it_looks_for(written):
    with h5py.File(written, "r") as file:
        attributes = dict(file["coords"].attrs)
    expected = {
        "patch_size": 224,
        "patch_size_level0": 448,
        "level0_magnification": 40,
        "target_magnification": 20,
        "overlap": 32,
        "name": "Müller 1",
        "savetodir": "",
        "level0_width": 5000,
        "level0_height": 4000,
    }
    assert {key: attributes[key] for key in expected} == expected


def test_a_side_that_is_not_whole_is_kept_exactly(tmp_path):
    metadata = SlideMetadata("a", "ok", "", 5000, 4000, (1.0,), 0.2528, "vendor")
    write_coords(tmp_path / "a.h5", COORDS, np.ones(3), Tiling(224, 0.5, 0, 0.5), metadata, "")
    assert read_coords(tmp_path / "a.h5").patch_level0 == pytest.approx(224 * 0.5 / 0.2528, rel=1e-12)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file["coords"].attrs["patch_size_level0"] == 443


@pytest.mark.parametrize("metadata", [METADATA, SlideMetadata("b", "excluded", "broken")])
def test_no_patches_is_a_file_with_a_reason(tmp_path, metadata):
    path = tmp_path / "a.h5"
    write_coords(path, np.zeros((0, 2)), np.zeros(0), Tiling(224, 0.5, 0, 0.5), metadata, "no tissue found: µm")
    tiles = read_coords(path)
    assert tiles.coords.shape == (0, 2)
    assert tiles.reason == "no tissue found: µm"


def test_tissue_fractions_stand_beside_the_coordinates(written):
    with h5py.File(written, "r") as file:
        np.testing.assert_allclose(file["tissue_fraction"][:], [0.5, 1.0, 0.75])


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
