import h5py
import numpy as np
import pytest

from histossl.errors import UserError
from histossl.mil.bags import read_bags


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
