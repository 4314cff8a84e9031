"""`results/attention/{encoder}/{kind}.h5`: the attention maps of an encoder's heads on some patches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from histossl.errors import UserError
from histossl.files import whole_file
from histossl.hdf5 import DAMAGED, create_hdf5, read_array, write_array


@dataclass(frozen=True)
class AttentionMaps:
    """Patches and the attention that each head pays them."""

    encoder: str
    """Name in the config."""
    names: list[str]
    """Of the N patches."""
    pictures: np.ndarray
    """(N, px, px, 3) uint8 RGB, as the network was given them."""
    maps: np.ndarray
    """(N, heads, side, side) float32; see `histossl.attention.record.record_maps`."""
    whose: str = ""
    """Whose attention it is."""
    field: float = 1.0
    """Side of what the network was given, cut from the patch's middle, as a share of the patch's shorter side."""
    reason: str = ""
    """Why there is none; empty where there is some."""

    @classmethod
    def none(cls, encoder: str, reason: str) -> Self:
        """No attention, and why."""
        return cls(encoder, [], np.zeros((0, 1, 1, 3), np.uint8), np.zeros((0, 0, 1, 1), np.float32), reason=reason)


def write_maps(path: Path, found: AttentionMaps) -> None:
    """Write `found`, whole or not at all."""
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        write_array(file, "maps", found.maps)
        write_array(file, "pictures", found.pictures)
        write_array(file, "names", np.array(found.names, dtype=str))
        file.attrs.update(encoder=found.encoder, whose=found.whose, field=found.field, reason=found.reason)


def read_maps(path: Path) -> AttentionMaps:
    """Read what `write_maps` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            texts = {key: str(file.attrs[key]) for key in ("encoder", "whose", "reason")}
            arrays = {key: read_array(file, key) for key in ("pictures", "maps")}
            names, field = read_array(file, "names").tolist(), float(file.attrs["field"])
    except DAMAGED as error:
        raise UserError(f"{path}: not a readable file of attention maps ({error}); delete it and rerun") from error
    return AttentionMaps(names=names, field=field, **arrays, **texts)
