"""HDF5 whose damage is noticed, written so that a full disk is an error like any other.

HDF5's own writer meets it when a file is closed: `h5py` then prints tracebacks of what it cannot raise, and ends in a
crash because HDF5 tries again at exit.

HDF5 has checksums of its own for chunks alone, while features lie in one piece to be mapped into memory: hence ours.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import xxhash
from numpy.typing import ArrayLike

DAMAGED = (OSError, LookupError, AttributeError, RuntimeError, TypeError, ValueError)
"""What h5py raises for a damaged file, and what its groups and single values raise in a data set's place."""
CHECKSUM = "xxh3_64"
"""Attribute of a data set."""


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file at `path`, in place of one that is there.

    Its layout is that of HDF5 1.8 and later, with checksums of its own for all but texts and the values of data sets.

    Raises:
        OSError: the file cannot be written; known when the block ends.
    """
    with _Output(path, "w+") as output:
        # Aligned, for numbers can be mapped into memory only where they lie at whole words.
        layout = {"libver": ("v108", "v108"), "alignment_threshold": 1, "alignment_interval": 8}
        with h5py.File(output, "w", **layout) as file:
            yield file
        if output.error is not None:
            raise output.error


def write_array(group: h5py.Group, name: str, values: ArrayLike) -> h5py.Dataset:
    """Write values in one piece, with a checksum that `read_array` and `check_values` compare.

    Texts become UTF-8 of one length, that of the longest: those of varying length lie where nothing guards them.
    """
    array = np.asarray(values)
    if array.dtype.kind == "U":
        coded = np.char.encode(array, "utf-8")
        array = coded.astype(h5py.string_dtype("utf-8", max(1, coded.dtype.itemsize)))
    dataset = group.create_dataset(name, data=array)
    dataset.attrs[CHECKSUM] = checksum(array)
    return dataset


def read_array(group: h5py.Group, name: str) -> np.ndarray:
    """All values of a data set; texts as `str`.

    Raises:
        ValueError: they are not those that were written; other errors of `DAMAGED` come from h5py.
    """
    dataset = group[name]
    if h5py.check_string_dtype(dataset.dtype):
        check_values(dataset, dataset[:])
        return dataset.asstr()[:].astype(str)
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read_direct(values)  # a fifth quicker than [:]
    check_values(dataset, values)
    return values


def check_values(dataset: h5py.Dataset, values: np.ndarray) -> None:
    """Make sure that `values` are what was written to `dataset`; one without a checksum (made elsewhere) is believed.

    Raises:
        ValueError: they are not.
    """
    if CHECKSUM in dataset.attrs and dataset.attrs[CHECKSUM] != checksum(values):
        raise ValueError(f"its {dataset.name.strip('/')} have changed since they were written")


def checksum(values: np.ndarray) -> np.uint64:
    """XXH3 of the values' bytes: quicker than the memory they come from."""
    return np.uint64(xxhash.xxh3_64_intdigest(np.ascontiguousarray(values)))


class _Output(io.FileIO):
    """A file that takes everything and remembers what failed first, so that HDF5 closes it in peace."""

    error: OSError | None = None

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        rest = memoryview(data).cast("B")
        try:
            while len(rest) and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return memoryview(data).nbytes

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
