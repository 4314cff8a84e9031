import h5py
import numpy as np
import pytest
import torch

from histossl.errors import UserError
from histossl.features.foreign_features import (
    UNKNOWN,
    describe_features,
    fingerprint_import,
    read_foreign_features,
    write_foreign_features,
)
from histossl.features.slide_features import read_fingerprint, read_slide_features

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14).reshape(7, 2)
TRIDENT = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20}


def write(path, features=FEATURES, coords=COORDS, chunk=32, attributes=()):
    """As CLAM's `save_hdf5` (32 rows a chunk) and TRIDENT's `save_h5` (1 row) write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in (("features", features), ("coords", coords)):
            if array is not None:
                rest = array.shape[1:]
                file.create_dataset(name, data=array, chunks=(chunk, *rest), maxshape=(None, *rest))
        if coords is not None:
            file["coords"].attrs.update(dict(attributes))
    return path


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path


def test_clams_file(tmp_path):
    found = read_foreign_features(write(tmp_path / "h5_files/a.h5", coords=COORDS.astype(np.int32)))
    np.testing.assert_array_equal(found.features, FEATURES)
    np.testing.assert_array_equal(found.coords, COORDS)
    assert (found.features.dtype, found.coords.dtype, found.attributes) == (np.float32, np.int64, {})


def test_tridents_file_keeps_what_it_says_of_its_patches(tmp_path):
    found = read_foreign_features(write(tmp_path / "a.h5", chunk=1, attributes=TRIDENT))
    np.testing.assert_array_equal(found.features, FEATURES)
    assert found.attributes == TRIDENT


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_features_of_any_precision_become_single_precision(tmp_path, kind):
    found = read_foreign_features(write(tmp_path / "a.h5", FEATURES.astype(kind)))
    np.testing.assert_array_equal(found.features, FEATURES.astype(kind).astype(np.float32))
    assert found.features.dtype == np.float32


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_a_tensor_has_features_alone(tmp_path, kind):
    tensor = torch.from_numpy(FEATURES).to(kind)
    found = read_foreign_features(save(tmp_path / "pt_files/a.pt", tensor))
    np.testing.assert_array_equal(found.features, tensor.float().numpy())
    assert found.features.dtype == np.float32
    assert (found.coords == UNKNOWN).all() and found.coords.shape == (7, 2)


def test_a_bag_in_a_batch_of_one_is_taken_out_of_it(tmp_path):
    found = read_foreign_features(write(tmp_path / "a.h5", FEATURES[None], COORDS[None], 1))
    np.testing.assert_array_equal(found.features, FEATURES)
    np.testing.assert_array_equal(found.coords, COORDS)
    assert read_foreign_features(save(tmp_path / "a.pt", torch.from_numpy(FEATURES[None]))).features.shape == (7, 5)


class Other:
    """Nothing that `weights_only` lets through."""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: write(path, coords=COORDS[:6]), r"7 patches have coords of shape \(6, 2\)"),
        (lambda path: write(path, coords=COORDS.astype(float)), "7 patches have coords of shape .* type float64"),
        (lambda path: write(path, coords=None), "it has no 'coords', but features"),
        (lambda path: write(path, None), "it has no 'features', but coords"),
        (lambda path: write(path, FEATURES[0], COORDS[:1]), r"its features have the shape \(5,\) instead of patches"),
        (lambda path: write(path, FEATURES.astype(int)), "its features are of type int64"),
        (lambda path: path.write_bytes(b"rubbish"), "signature"),
        (lambda path: save(path.with_suffix(".pt"), {"features": torch.zeros(3, 4)}), "it holds a dict instead of"),
        (lambda path: save(path.with_suffix(".pt"), torch.zeros(3, 4, dtype=torch.int64)), "of type torch.int64"),
        (lambda path: save(path.with_suffix(".pt"), Other()), "UnpicklingError from torch.load with weights_only"),
        (lambda path: path.with_suffix(".pt").write_bytes(b"rubbish"), "from torch.load"),
    ],
)
def test_what_is_no_file_of_patch_features_is_one_sentence(tmp_path, make, said):
    make(tmp_path / "a.h5")
    (path,) = tmp_path.iterdir()
    with pytest.raises(UserError, match=rf"a\.(h5|pt): not a feature file of CLAM or TRIDENT \(.*{said}"):
        read_foreign_features(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_in_single_precision_are_counted(tmp_path, value):
    features = FEATURES.astype(np.float64)
    features[[2, 4], [1, 3]] = value
    with pytest.raises(UserError, match=r"a\.h5: the features of 2 of 7 patches are not finite"):
        read_foreign_features(write(tmp_path / "a.h5", features))


def test_half_a_file_is_refused(tmp_path):
    path = write(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"a\.h5: not a feature file"):
        read_foreign_features(path)


def test_a_file_that_clam_did_not_finish_is_refused(tmp_path):
    """Rows of the first batches look like a whole file: that the `.pt` is missing tells."""
    path = write(tmp_path / "h5_files/a.b.h5")
    (tmp_path / "pt_files").mkdir()
    assert len(read_foreign_features(path).features) == 7  # nothing is known where there is no `.pt` at all
    save(tmp_path / "pt_files/other.pt", torch.zeros(3, 4))
    with pytest.raises(UserError, match=r"a\.b\.h5: CLAM has not finished it"):
        read_foreign_features(path)
    save(tmp_path / "pt_files/a.b.pt", torch.from_numpy(FEATURES))
    assert len(read_foreign_features(path).features) == 7


def test_what_is_written_is_ours(tmp_path):
    found = read_foreign_features(write(tmp_path / "a.h5", attributes=TRIDENT))
    facts = {"encoder": "uni", "fingerprint": "print", "reason": "", "source": "a.h5"}
    write_foreign_features(tmp_path / "ours/s.h5", found, "s", facts)
    features, coords = read_slide_features(tmp_path / "ours/s.h5")
    np.testing.assert_array_equal(features, FEATURES)
    np.testing.assert_array_equal(coords, COORDS)
    assert read_fingerprint(tmp_path / "ours/s.h5") == "print"
    with h5py.File(tmp_path / "ours/s.h5") as file:
        assert {**file["coords"].attrs, **TRIDENT, "name": "s"} == dict(file["coords"].attrs)
        assert file["features"].attrs["encoder"] == file.attrs["encoder"] == "uni"
        assert file["features"].chunks is None  # in one piece


def test_ours_is_imported_with_checksums_of_what_is_taken(tmp_path):
    write_foreign_features(tmp_path / "ours.h5", read_foreign_features(write(tmp_path / "a.h5")), "s", {"encoder": "e"})
    with h5py.File(tmp_path / "ours.h5") as file, h5py.File(tmp_path / "part.h5", "w") as part:
        for name in ("features", "coords"):
            part[name] = file[name][:2]  # as users cut files: the attributes stay
            if name == "coords":
                part[name].attrs.update(file[name].attrs)
            else:
                part[name].attrs["encoder"] = "e"
    with h5py.File(tmp_path / "part.h5", "r+") as part:
        del part["coords"].attrs["xxh3_64"]
    write_foreign_features(tmp_path / "again.h5", read_foreign_features(tmp_path / "part.h5"), "s", {"encoder": "e"})
    assert read_slide_features(tmp_path / "again.h5")[1].shape == (2, 2)
    with h5py.File(tmp_path / "ours.h5", "r+") as file:
        file["features"][0, 0] += 1
    with pytest.raises(UserError, match="its features have changed"):
        read_foreign_features(tmp_path / "ours.h5")


def test_a_file_counts_by_size_and_time_of_change(tmp_path):
    path = write(tmp_path / "a.h5")
    first = fingerprint_import(path, "code")
    assert fingerprint_import(path, "code") == first != fingerprint_import(path, "other")
    path.touch()
    assert fingerprint_import(path, "code") != first


def test_the_card_is_of_the_first_file_that_can_be_read(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"rubbish")
    write(tmp_path / "b.h5", FEATURES[:0], COORDS[:0])
    write(tmp_path / "c.h5")
    card = describe_features(tmp_path / f"{name}.h5" for name in "abc")
    assert (card["method"], card["feature_dim"], card["spacing_um"]) == ("imported", 5, [])
    with pytest.raises(UserError, match=r"b\.h5: has no patches, and no file"):
        describe_features(tmp_path / f"{name}.h5" for name in "ab")
    with pytest.raises(UserError, match=r"a\.h5: not a feature file"):
        describe_features([tmp_path / "a.h5"])
