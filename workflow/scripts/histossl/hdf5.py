"""What h5py raises for a damaged file, and writing HDF5 so that a full disk is an error like any other.

HDF5's own writer meets it when a file is closed: `h5py` then prints tracebacks of what it cannot raise, and ends in a
crash because HDF5 tries again at exit.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

DAMAGED = (OSError, LookupError, AttributeError, RuntimeError, TypeError, ValueError)
"""What h5py raises for a damaged file, and what its groups and single values raise in a data set's place."""


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file at `path`, in place of one that is there.

    Raises:
        OSError: the file cannot be written; known when the block ends.
    """
    with _Output(path, "w+") as output:
        with h5py.File(output, "w") as file:
            yield file
        if output.error is not None:
            raise output.error


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
