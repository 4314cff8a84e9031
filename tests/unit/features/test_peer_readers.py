"""Our feature files, read the way that code for features of CLAM and TRIDENT reads them.

The readers are written anew after what those do: CLAM's `Generic_MIL_Dataset.__getitem__` and `Whole_Slide_Bag_FP`
(dataset_modules), TRIDENT's `read_coords`, `read_coords_legacy` (trident/IO.py) and `extract_slide_features`
(trident/wsi_objects/WSI.py), and Patho-Bench's `PatchEmbeddingsDataset`.
"""

import h5py
import numpy as np
import pytest
import torch

from histossl.features.foreign_features import read_foreign_features, write_foreign_features
from histossl.features.slide_features import write_slide_features
from histossl.slides.metadata import inspect_slide
from histossl.tiles.coords_file import Tiling, read_coords, write_coords
from tests.unit.small_networks import CARD

COORDS = np.array([[x, y] for y in (60, 124, 188) for x in (64, 128, 192, 256)])
FEATURES = np.random.default_rng(0).normal(size=(12, 64)).astype(np.float32)
SLIDE = "TCGA-02-0001-01Z.ü 1"


@pytest.fixture(params=["embedded", "imported"])
def folder(request, tmp_path, drawn_slide):
    """Features of one slide: made here, and taken over from another file with attributes of its own."""
    path = tmp_path / "tiles.h5"
    tiling = Tiling(32, 1.0, 0, 0.5)  # 64 px of the slide
    write_coords(path, COORDS, np.ones(12), tiling, inspect_slide(SLIDE, drawn_slide.path, None, None), "")
    output = tmp_path / "features" / f"{SLIDE}.h5"
    facts = {"encoder": "dino", "fingerprint": "x", "reason": ""}
    write_slide_features(output, FEATURES, path, CARD, facts)
    if request.param == "imported":
        found = read_foreign_features(output)
        write_foreign_features(output, found, SLIDE, facts | {"encoder": "uni", "source": "elsewhere.h5"})
    return tmp_path / "features"


def test_clams_bags(folder, tmp_path):
    """CLAM joins data_dir, h5_files and the slide id: a link called h5_files is all that it takes."""
    data_dir = tmp_path / "clam"
    data_dir.mkdir()
    (data_dir / "h5_files").symlink_to(folder)
    with h5py.File(data_dir / "h5_files" / f"{SLIDE}.h5", "r") as hdf5_file:
        features, coords = hdf5_file["features"][:], hdf5_file["coords"][:]
    bag = torch.from_numpy(features)
    assert bag.dtype == torch.float32 and bag.shape == (12, 64)
    np.testing.assert_array_equal(coords, COORDS)
    np.testing.assert_array_equal(bag.numpy(), FEATURES)


def test_clams_patches_of_the_slide(folder):
    """What CLAM's heatmaps and its patch reader take from `coords`: the same field of the slide as ours."""
    with h5py.File(folder / f"{SLIDE}.h5", "r") as file:
        coords = file["coords"]
        level, side, length = coords.attrs["patch_level"], coords.attrs["patch_size"], len(coords)
        first, name = coords[0], coords.attrs["name"]
    assert (level, side, length, name) == (0, 64, 12, SLIDE)
    assert tuple(first) == (64, 60)


def test_tridents_attributes_and_coordinates(folder):
    with h5py.File(folder / f"{SLIDE}.h5", "r") as file:
        attributes, coords = dict(file["coords"].attrs), file["coords"][:]
    stated = [attributes.get(key) for key in ("patch_size", "level0_magnification", "target_magnification")]
    assert None not in stated
    assert round(stated[0] * stated[1] / stated[2]) == 64  # side that its patcher reads, level-0 pixels
    assert attributes["patch_size_level0"] == 64  # its slide encoders' positions
    assert (attributes["level0_width"], attributes["level0_height"]) == (640, 512)
    assert (attributes["overlap"], attributes["name"]) == (0, SLIDE)
    assert coords.dtype == np.int64 and coords.shape == (12, 2)
    legacy = attributes["patch_size"], attributes["patch_level"], attributes.get("custom_downsample", 1)
    assert legacy == (64, 0, 1)


def test_tridents_slide_encoders(folder):
    """Features of a batch of one bag on the device, coordinates as tensors, attributes as they come."""
    with h5py.File(folder / f"{SLIDE}.h5", "r") as file:
        coords, features, attributes = file["coords"][:], file["features"][:], dict(file["coords"].attrs)
        named = dict(file["features"].attrs)
    batch = torch.from_numpy(features).float().unsqueeze(0)
    places = torch.from_numpy(coords).unsqueeze(0) / int(attributes["patch_size_level0"])
    assert batch.shape == (1, 12, 64) and places.shape == (1, 12, 2)
    assert named["name"] == SLIDE and "savetodir" in named and "encoder" in named


def test_patho_benchs_bags_of_a_patient(folder):
    """It finds files by their ending, joins the slides of a patient, and wants their `patch_size_level0` to be one."""
    paths = {path.stem: path for path in folder.iterdir() if path.name.endswith(".h5")}
    assert list(paths) == [SLIDE]
    slides, sizes = [], []
    for _ in range(2):
        with h5py.File(paths[SLIDE], "r") as file:
            slides.append({key: torch.from_numpy(file[key][:]) for key in ("features", "coords")})
            sizes.append(file["coords"].attrs["patch_size_level0"])
    assert sizes[0] == sizes[1]
    assert torch.cat([slide["features"] for slide in slides]).shape == (24, 64)


def test_rows_are_read_one_by_one(folder):
    with h5py.File(folder / f"{SLIDE}.h5", "r") as file:
        np.testing.assert_array_equal(file["features"][7], FEATURES[7])
        np.testing.assert_array_equal(file["coords"][3:5], COORDS[3:5])


def test_our_own_reader_of_coordinates_takes_a_feature_file(folder):
    assert read_coords(folder / f"{SLIDE}.h5").patch_level0 == 64
