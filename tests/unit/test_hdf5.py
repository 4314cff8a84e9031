import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from histossl.files import whole_file
from histossl.hdf5 import create_hdf5

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
from histossl.hdf5 import create_hdf5
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
