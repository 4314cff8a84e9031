import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from histossl.files import whole_file
from histossl.hdf5 import DAMAGED, check_values, create_hdf5, read_array, write_array

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"
FULL = Path("/dev/full")
"""Takes nothing, as a full disk."""


def fill(file, rows):
    file.create_dataset("features", data=np.arange(rows * 64, dtype=np.float32).reshape(rows, 64)).attrs["name"] = "ü"
    file.create_dataset("text", data=["a", "b"], dtype=h5py.string_dtype())
    file.attrs["reason"] = ""


@pytest.mark.parametrize("rows", [0, 3, 300_000])
def test_what_is_written_is_read_by_hdf5_itself(tmp_path, rows):
    with create_hdf5(tmp_path / "a.h5") as file:
        fill(file, rows)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["features"][:].ravel(), np.arange(rows * 64, dtype=np.float32))
        assert file["features"].attrs["name"] == "ü"
        assert file["text"].asstr()[:].tolist() == ["a", "b"]


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        with create_hdf5(tmp_path / name) as file:
            fill(file, 100)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("rows", [1, 20_000])
def test_a_full_disk_is_an_error_and_the_process_lives(rows):
    code = f"""
import numpy as np
from pathlib import Path
from histossl.hdf5 import DAMAGED, check_values, create_hdf5, read_array, write_array
try:
    with create_hdf5(Path("{FULL}")) as file:
        file["features"] = np.ones(({rows}, 64), np.float32)
        file.attrs["x"] = 1
except OSError as error:
    print(error.errno)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "28\n", "")


def test_the_old_file_stays_when_the_disk_is_full(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("old")
    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.h5'") as caught, whole_file(path) as temporary:
        temporary.symlink_to(FULL)
        with create_hdf5(temporary) as file:
            fill(file, 10)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


ARRAYS = {
    "float32": np.random.default_rng(0).random((5, 7), np.float32),
    "odd": np.arange(15, dtype=np.float16).reshape(5, 3),
    "int64": np.arange(10).reshape(5, 2),
    "flat": np.arange(9, dtype=np.uint32),
    "empty": np.zeros((0, 4), np.float32),
    "text": np.array(["", "ä b", "neoplasia"]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_as_they_were(tmp_path, name):
    with create_hdf5(tmp_path / "a.h5") as file:
        write_array(file, "x", ARRAYS[name])
    with h5py.File(tmp_path / "a.h5") as file:
        back = read_array(file, "x")
    assert back.dtype.kind == ARRAYS[name].dtype.kind
    np.testing.assert_array_equal(back, ARRAYS[name])


@pytest.mark.parametrize("name", [name for name, array in ARRAYS.items() if array.size])
def test_a_changed_value_and_rows_in_another_order_are_noticed(tmp_path, name):
    with create_hdf5(tmp_path / "a.h5") as file:
        write_array(file, "x", ARRAYS[name])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        written = file["x"][:]
        damages = [written[::-1], np.concatenate([written[:1], written[:1], written[2:]])]
        if written.ndim == 2:
            damages += [written[:, ::-1], np.roll(written, 1), -written]
        for damaged in damages:
            file["x"][:] = damaged
            with pytest.raises(ValueError, match="its x have changed since they were written"):
                read_array(file, "x")
        check_values(file["x"], written)


@pytest.mark.parametrize("values", [np.arange(6.0), np.array(["a", "ü"], object)])
def test_arrays_made_elsewhere_are_believed(tmp_path, values):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
        assert read_array(file, "x").tolist() == values.tolist()


def test_damage_to_what_describes_the_values_is_noticed(tmp_path):
    with create_hdf5(tmp_path / "a.h5") as file:
        write_array(file, "x", ARRAYS["float32"]).attrs["spacing_um"] = 0.4321
    path = tmp_path / "a.h5"
    path.write_bytes(path.read_bytes().replace(np.float64(0.4321).tobytes(), np.float64(0.8765).tobytes()))
    with h5py.File(path) as file, pytest.raises(DAMAGED):
        float(file["x"].attrs["spacing_um"])
