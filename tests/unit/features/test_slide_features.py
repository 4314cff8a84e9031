import os
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.features.slide_features import (
    fingerprint_inputs,
    read_fingerprint,
    read_slide_features,
    write_slide_features,
)
from histossl.mil.bags import read_bags
from histossl.slides.metadata import inspect_slide
from histossl.tiles.coords_file import Tiling, read_coords, write_coords

COORDS = np.array([[x, y] for y in (60, 124, 188) for x in (64, 128, 192, 256)])


@pytest.fixture
def coords_file(tmp_path, drawn_slide):
    """Patches of 32 px at 1 µm/px, which are 64 px of the slide."""
    path = tmp_path / "coords.h5"
    write_coords(
        path, COORDS, np.ones(12), Tiling(32, 1.0, 0, 0.5), inspect_slide("ü", drawn_slide.path, None, None), ""
    )
    return path


def test_the_fingerprint_changes_with_each_input_alone(tmp_path, drawn_slide, coords_file):
    slide = tmp_path / "slide.svs"
    shutil.copy(drawn_slide.path, slide)
    tiles = read_coords(coords_file)
    first = fingerprint_inputs(slide, tiles, "weights", "code")
    assert fingerprint_inputs(slide, read_coords(coords_file), "weights", "code") == first
    moved = tmp_path / "moved.svs"
    slide.rename(moved)
    assert fingerprint_inputs(moved, tiles, "weights", "code") == first
    others = [
        fingerprint_inputs(moved, replace(tiles, coords=tiles.coords[:-1]), "weights", "code"),
        fingerprint_inputs(moved, replace(tiles, coords=tiles.coords + 1), "weights", "code"),
        fingerprint_inputs(moved, replace(tiles, patch_px=33), "weights", "code"),
        fingerprint_inputs(moved, replace(tiles, patch_level0=65.0), "weights", "code"),
        fingerprint_inputs(moved, replace(tiles, spacing_um=1.01), "weights", "code"),
        fingerprint_inputs(moved, tiles, "other weights", "code"),
        fingerprint_inputs(moved, tiles, "weights", "other code"),
    ]
    os.utime(moved, ns=(1, 1))
    others.append(fingerprint_inputs(moved, tiles, "weights", "code"))
    with moved.open("ab") as file:
        file.write(b"x")
    os.utime(moved, ns=(1, 1))
    others.append(fingerprint_inputs(moved, tiles, "weights", "code"))
    assert len({first, *others}) == 10


def test_a_slide_that_has_gone_has_a_fingerprint_of_its_own(tmp_path, drawn_slide, coords_file):
    tiles = read_coords(coords_file)
    gone = fingerprint_inputs(tmp_path / "gone.svs", tiles, "weights", "code")
    assert gone != fingerprint_inputs(drawn_slide.path, tiles, "weights", "code")


@pytest.fixture
def written(tmp_path, embedder, coords_file):
    path = tmp_path / "features" / "a.h5"
    features = np.random.default_rng(0).normal(size=(12, 64)).astype(np.float32)
    facts = {"encoder": "dino", "weights_sha256": "weights", "fingerprint": "print", "reason": ""}
    write_slide_features(path, features, coords_file, embedder.card, facts)
    return path, features


def test_features_and_coordinates_survive_the_file(written):
    path, features = written
    got, coords = read_slide_features(path)
    np.testing.assert_array_equal(got, features)
    np.testing.assert_array_equal(coords, COORDS)
    assert read_fingerprint(path) == "print"


def test_the_file_says_what_made_it(written):
    with h5py.File(written[0], "r") as file:
        assert file.attrs["encoder"] == file["features"].attrs["encoder"] == "dino"
        assert file.attrs["weights_sha256"] == "weights"
        assert file["features"].attrs["name"] == "ü"
        assert file["coords"].attrs["patch_level0"] == 64.0
        assert (file.attrs["input_px"], file.attrs["resize_px"], file.attrs["interpolation"]) == (32, 32, "bilinear")


def test_features_lie_in_one_piece(written):
    with h5py.File(written[0], "r") as file:
        assert file["features"].chunks is None
        assert (file["features"].dtype, file["features"].shape) == (np.float32, (12, 64))


@pytest.mark.parametrize("bad", ["rows", "nan"])
def test_what_is_not_whole_is_not_written(tmp_path, embedder, coords_file, bad):
    features = np.zeros((11 if bad == "rows" else 12, 64), np.float32)
    features[0, 0] = np.nan if bad == "nan" else 0
    with pytest.raises(ValueError, match="features for 12 coordinates, or not finite"):
        write_slide_features(tmp_path / "a.h5", features, coords_file, embedder.card, {"encoder": "dino"})
    assert not list(tmp_path.glob("*a*.h5"))


def test_a_slide_left_out_has_no_rows_of_either(tmp_path, embedder, coords_file):
    path = tmp_path / "a.h5"
    facts = {"encoder": "dino", "fingerprint": "print", "reason": "damaged"}
    write_slide_features(path, np.zeros((0, 64), np.float32), coords_file, embedder.card, facts)
    features, coords = read_slide_features(path)
    assert features.shape == (0, 64)
    assert coords.shape == (0, 2)
    assert read_fingerprint(path) == "print"


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "rubbish", "no features", "rows differ"])
def test_a_damaged_file_has_an_empty_fingerprint(written, damage):
    path, _ = written
    if damage == "missing":
        path.unlink()
    elif damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage in ("empty", "rubbish"):
        path.write_bytes(b"rubbish" if damage == "rubbish" else b"")
    else:
        with h5py.File(path, "a") as file:
            del file["features"]
            if damage == "rows differ":
                file["features"] = np.zeros((5, 64), np.float32)
    assert read_fingerprint(path) == ""
    if damage != "rows differ":
        with pytest.raises(UserError, match=r"a\.h5: not a readable feature file"):
            read_slide_features(path)


@pytest.mark.parametrize("name", ["features", "coords"])
def test_a_number_that_has_changed_is_noticed(written, name):
    path, _ = written
    with h5py.File(path, "r+") as file:
        file[name][3, 1] += 1
    with pytest.raises(UserError, match=rf"a\.h5: not a readable feature file \(its {name} have changed"):
        read_slide_features(path)
    with pytest.raises(UserError, match=rf"a\.h5: not a readable feature file \(its {name} have changed"):
        read_bags(["a"], path.parent)
