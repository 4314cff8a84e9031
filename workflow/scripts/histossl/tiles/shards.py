"""Shards: the encoded patches of one slide in one file, quick to read in any order.

A shard is an HDF5 file with `jpeg`, the JPEG streams one after the other (uint8), `offsets` (N + 1, int64), `crc32` of
each stream (N, uint32) and `coords` (N, 2). `jpeg` is stored contiguously, so that patches are read with one `pread`
each, past HDF5: that is safe in forked workers and needs no more than a bounded number of open files, however many
slides there are.
"""

import hashlib
import os
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import cv2
import h5py
import numpy as np

from histossl.errors import UserError
from histossl.files import whole_file
from histossl.hdf5 import DAMAGED, create_hdf5, read_array, write_array

MAX_OPEN_FILES = 64
COPY_BYTES = 2**24


def write_shard(
    path: Path,
    streams: Iterable[bytes],
    coords: np.ndarray,
    slide: str,
    patch_px: int,
    spacing_um: float,
    reason: str = "",
    stain: str = "none",
) -> None:
    """Write JPEG `streams` of square patches of `patch_px` at `spacing_um` µm/px, whole or not at all.

    `stain` names the normalisation of their colours. `coords` (N, 2) are the patches' level-0 x, y. N may be 0, with a
    `reason`. Streams are written as they come: memory does not grow with their number.
    """
    lengths, sums, digest = [0], [], hashlib.sha256()
    with whole_file(path) as temporary, tempfile.TemporaryFile(dir=path.parent) as spool:
        for stream in streams:
            spool.write(stream)
            digest.update(stream)
            lengths.append(len(stream))
            sums.append(zlib.crc32(stream))
        with create_hdf5(temporary) as file:
            # In one piece, so that a patch can be read past HDF5; its size is known only now, hence the spool.
            blob = file.create_dataset("jpeg", shape=(sum(lengths),), dtype=np.uint8)
            spool.seek(0)
            for start in range(0, sum(lengths), COPY_BYTES):
                blob[start : start + COPY_BYTES] = np.frombuffer(spool.read(COPY_BYTES), np.uint8)
            write_array(file, "offsets", np.cumsum(lengths, dtype=np.int64))
            write_array(file, "crc32", np.array(sums, np.uint32))
            write_array(file, "coords", np.asarray(coords, np.int64).reshape(-1, 2))
            facts = {"slide": slide, "patch_px": patch_px, "spacing_um": spacing_um, "reason": reason, "stain": stain}
            file.attrs.update(facts, fingerprint=digest.hexdigest())


def list_shards(slides: Path, folder: Path) -> list[Path]:
    """The shards in `folder` of the slides that the file `slides` names, one id a line."""
    # An id may hold what `splitlines` takes for the end of a line.
    return [folder / f"{slide}.h5" for slide in slides.read_text(encoding="utf-8").split("\n") if slide]


def read_shard_reason(path: Path) -> str:
    """Why a shard has no patches; empty where it has some.

    Raises:
        UserError: the file is not a shard.
    """
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs["reason"])
    except DAMAGED as error:
        raise UserError(f"{path}: not a readable shard ({error}); delete it and rerun") from error


class ShardSet:
    """The patches of many shards as one sequence.

    Attributes:
        patch_px: side of the patches, px.
        spacing_um: their µm/px.
        slide_index: (len,) int32, which of `slides` each patch is from.
        slides: names of the slides that have patches.
        data_hash: fingerprint of all patches, independent of where the files lie.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open `paths`, in the order given; shards without patches are passed over.

        Raises:
            UserError: a file is not a shard, sizes or scales differ, or there is no patch at all.
        """
        self.paths: list[Path] = []
        self.slides: list[str] = []
        scales: dict[tuple[int, float], Path] = {}
        starts, ends, counts, sums, prints = [], [], [], [], []
        for path in map(Path, paths):
            try:
                with h5py.File(path, "r") as file:
                    offsets = read_array(file, "offsets")
                    if len(offsets) < 2:
                        continue
                    base = file["jpeg"].id.get_offset()
                    scales.setdefault((int(file.attrs["patch_px"]), float(file.attrs["spacing_um"])), path)
                    self.slides.append(str(file.attrs["slide"]))
                    sums.append(read_array(file, "crc32"))
                    prints.append(str(file.attrs["fingerprint"]))
                    rising = (np.diff(offsets) >= 0).all()
                    if not rising or offsets[-1] != file["jpeg"].size or len(sums[-1]) != len(offsets) - 1:
                        raise ValueError("its offsets do not fit its streams")
            except FileNotFoundError as error:
                raise UserError(f"{path}: no such shard; rerun, the rule `pack_tiles` makes it") from error
            except DAMAGED as error:
                raise UserError(f"{path}: not a readable shard ({error}); delete it and rerun") from error
            self.paths.append(path)
            starts.append(base + offsets[:-1])
            ends.append(base + offsets[1:])
            counts.append(len(offsets) - 1)
        if not self.paths:
            raise UserError(
                f"none of the {len(paths)} shards has a patch to train on; see why in results/tables/cohort.csv"
            )
        if len(scales) > 1:
            listed = "; ".join(f"{px} px at {um:g} µm/px in {path}" for (px, um), path in scales.items())
            raise UserError(f"shards differ in patch size or scale: {listed}; delete the odd ones and rerun")
        ((self.patch_px, self.spacing_um),) = scales
        self._starts, self._ends, self._sums = np.concatenate(starts), np.concatenate(ends), np.concatenate(sums)
        self.slide_index = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self.data_hash = hashlib.sha256("".join(sorted(prints)).encode()).hexdigest()
        self._files: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, index: int) -> np.ndarray:
        """Patch `index` as (patch_px, patch_px, 3) uint8, RGB.

        Raises:
            UserError: its bytes are not those that were written, or no JPEG picture of that size.
        """
        shard, start = int(self.slide_index[index]), int(self._starts[index])
        stream = os.pread(self._descriptor(shard), int(self._ends[index]) - start, start)
        # A decoder takes noise for a picture of noise.
        sound = stream and zlib.crc32(stream) == self._sums[index]
        picture = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_COLOR_RGB) if sound else None
        if picture is None or picture.shape != (self.patch_px, self.patch_px, 3):
            raise UserError(
                f"{self.paths[shard]}: patch {index} of the set is damaged; delete the shard, and the encoder.pt of "
                "those that were trained on it, and rerun"
            )
        return picture

    def read_ahead(self, indices: Iterable[int]) -> None:
        """Tell the system that these patches will be read: it fetches them side by side instead of one by one.

        Patches lie all over the disk in training; this made cold reads three times as fast.
        """
        for index in indices:
            start = int(self._starts[index])
            length = int(self._ends[index]) - start
            os.posix_fadvise(self._descriptor(int(self.slide_index[index])), start, length, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Close all files; reading opens them again."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict:
        # File descriptors belong to one process: a worker opens its own.
        return {**self.__dict__, "_files": OrderedDict()}

    def _descriptor(self, shard: int) -> int:
        if shard in self._files:
            self._files.move_to_end(shard)
        else:
            if len(self._files) >= MAX_OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            self._files[shard] = os.open(self.paths[shard], os.O_RDONLY)
        return self._files[shard]
