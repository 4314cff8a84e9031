from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from histossl.errors import UserError
from histossl.features.foreign_features import ForeignFeatures, write_foreign_features
from histossl.mil.bags import Bag, DeviceBags, PatchSums, map_bag, read_bags


@pytest.fixture
def folder(tmp_path):
    for slide, shape in {"a": (3, 4), "b": (0, 4), "c": (2, 5)}.items():
        with h5py.File(tmp_path / f"{slide}.h5", "w") as file:
            file["features"] = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
            file["coords"] = np.zeros((shape[0], 2), np.int64)
    return tmp_path


def test_the_slides_asked_for_are_read_once_as_float32(folder):
    bags = read_bags(["b", "a", "a"], folder)
    assert list(bags) == ["a", "b"]
    assert bags["a"].features.dtype == np.float32
    assert bags["a"].features.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert bags["b"].features.shape == (0, 4)


def test_a_slide_without_a_feature_file_is_named(folder):
    with pytest.raises(UserError, match=r"slide 'd' .* has no features"):
        read_bags(["a", "d"], folder)


def test_features_of_different_width_are_refused(folder):
    with pytest.raises(UserError, match=r"c\.h5 has 5 features a patch but that of slide 'a' has 4"):
        read_bags(["a", "b", "c"], folder)


@pytest.mark.parametrize(
    ("options", "mapped"),
    [({}, True), ({"dtype": "f2"}, False), ({"chunks": (2, 4)}, False), ({"dtype": ">f4"}, False)],
)
def test_float32_in_one_piece_is_mapped_and_all_else_is_read(tmp_path, options, mapped):
    values = np.arange(20, dtype=np.float32).reshape(5, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", data=values, **options)
        file["coords"] = np.zeros((5, 2), np.int64)
    assert (map_bag(tmp_path / "a.h5") is not None) == mapped
    bag = read_bags(["a"], tmp_path)["a"]
    assert bag.features.dtype == np.float32
    assert bag.features.tolist() == values.tolist()
    tensor = DeviceBags({"a": bag}, torch.device("cpu"))["a"]
    assert tensor.data_ptr() == bag.features.ctypes.data


@pytest.mark.parametrize("rows", [1, 7, 3000])
@pytest.mark.parametrize("width", [3, 64])
def test_files_of_ours_are_mapped(tmp_path, rows, width):
    path = tmp_path / "a.h5"
    found = ForeignFeatures(np.random.default_rng(0).random((rows, width), np.float32), np.zeros((rows, 2), np.int64))
    write_foreign_features(path, found, "a, of a longer name", {"encoder": "e", "source": "folder/file.h5"})
    bag = map_bag(path)
    assert bag is not None
    np.testing.assert_array_equal(bag.features, found.features)


def test_bags_keep_no_file_open_for_a_process_may_have_a_thousand(tmp_path):
    slides = [f"s{number}" for number in range(20)]
    for number, slide in enumerate(slides):
        with h5py.File(tmp_path / f"{slide}.h5", "w") as file:
            file["features"] = np.full((5, 4), number, np.float32)
            file["coords"] = np.zeros((5, 2), np.int64)
    before = len(list(Path("/proc/self/fd").iterdir()))
    bags = read_bags(slides, tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert all((bags[slide].features == number).all() for number, slide in enumerate(slides))
    bags["s3"].features[:] = 0  # a copy: the file stays as it is
    assert (read_bags(["s3"], tmp_path)["s3"].features == 3).all()


def test_a_damaged_file_is_named(folder):
    (folder / "a.h5").write_bytes((folder / "a.h5").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"a\.h5: not a readable feature file"):
        read_bags(["a"], folder)


def test_the_scale_is_that_of_all_patches_and_one_where_a_feature_is_constant():
    rng = np.random.default_rng(0)
    bags = {slide: rng.normal(2, 3, (size, 5)).astype(np.float32) for slide, size in {"a": 30, "b": 50, "c": 7}.items()}
    for features in bags.values():
        features[:, 3] = 0.1
    sums = PatchSums({slide: Bag(features, np.zeros((0, 2))) for slide, features in bags.items()})
    mean, deviation = sums.scale(["a", "c"])
    patches = np.concatenate([bags["a"], bags["c"]]).astype(np.float64)
    expected = patches.std(axis=0)
    expected[3] = 1
    np.testing.assert_allclose(mean, patches.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(deviation, expected, rtol=1e-5)


@pytest.mark.parametrize(("features", "coords"), [((5, 4), (3, 2)), ((5,), (5, 2))])
def test_features_that_do_not_belong_to_the_coordinates_are_named(tmp_path, features, coords):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"], file["coords"] = np.ones(features, np.float32), np.zeros(coords, np.int64)
    with pytest.raises(UserError, match=r"a\.h5: features of shape .* beside coordinates of shape"):
        read_bags(["a"], tmp_path)
