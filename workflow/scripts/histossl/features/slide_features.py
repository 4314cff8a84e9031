"""`results/features/{encoder}/slides/{tiling}/{slide}.h5`: the feature vectors of one slide's patches.

Features (N, D) and coordinates (N, 2) stand side by side, as CLAM's and TRIDENT's readers expect them. A file carries
the fingerprint of all that made it, so that a job over many slides embeds only those that changed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from histossl.encoders.encoder_file import EncoderCard
from histossl.errors import UserError
from histossl.files import whole_file
from histossl.hdf5 import CHECKSUM, DAMAGED, create_hdf5, read_array, write_array
from histossl.tiles.coords_file import Coords


def fingerprint_inputs(slide_file: Path, tiles: Coords, encoder: str, code: str) -> str:
    """Fingerprint of what a slide's features depend on: its pixels, its coordinates, the encoder and the code.

    `encoder` is a text that differs where weights, preprocessing or precision differ.

    The slide itself counts by size and time of change, because reading all of it would cost as much as embedding it.
    """
    status = slide_file.stat() if len(tiles.coords) and slide_file.is_file() else None
    parts = {
        "slide": [status.st_size, status.st_mtime_ns] if status else None,
        "coords": hashlib.sha256(np.ascontiguousarray(tiles.coords).tobytes()).hexdigest(),
        "patch": [tiles.patch_px, tiles.patch_level0, tiles.spacing_um, tiles.reason],
        "encoder": encoder,
        "code": code,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write_slide_features(
    path: Path, features: np.ndarray, coords_file: Path, card: EncoderCard, facts: Mapping[str, str]
) -> None:
    """Write features beside their coordinates (with all attributes of `coords_file`), whole or not at all.

    They lie in the file in one piece, so that a whole bag is read at the speed of the disk.

    Args:
        path: HDF5 to write.
        features: (N, D) float32, of all patches of `coords_file`, or of none where there is a reason for that.
        coords_file: HDF5 of `tile_slide`.
        card: the encoder's.
        facts: further attributes: the encoder's name, the hash of its weights, the fingerprint, the reason where there
            are no rows.

    Raises:
        ValueError: there are neither as many features as coordinates nor none, or some are not finite: our own defect.
    """
    with h5py.File(coords_file, "r") as source:
        coords, attributes = read_array(source, "coords")[: len(features)], dict(source["coords"].attrs)
        attributes.pop(CHECKSUM, None)  # of all of them, also where no features are
        if len(features) not in (0, len(source["coords"])) or not np.isfinite(features).all():
            raise ValueError(f"{path}: {len(features)} features for {len(source['coords'])} coordinates, or not finite")
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        dataset = write_array(file, "features", features.astype(np.float32, copy=False))
        dataset.attrs.update(encoder=facts["encoder"], name=str(attributes["name"]), savetodir="")
        write_array(file, "coords", coords).attrs.update(attributes)
        file.attrs.update({**preprocessing(card), **facts})


def preprocessing(card: EncoderCard) -> dict[str, Any]:
    """What feature files say of the encoder and of how patches came to it."""
    names = ("model", "mean", "std", "input_px", "interpolation", "pooling")
    return {**{name: getattr(card, name) for name in names}, "resize_px": card.resize_px or card.input_px}


def read_fingerprint(path: Path) -> str:
    """Fingerprint of a feature file; empty where the file is missing or damaged."""
    try:
        with h5py.File(path, "r") as file:
            if file["features"].shape[0] != file["coords"].shape[0]:
                return ""
            return str(file.attrs["fingerprint"])
    except DAMAGED:
        return ""


def read_slide_features(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and level-0 coordinates (N, 2).

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return read_array(file, "features"), read_array(file, "coords")
    except DAMAGED as error:
        raise UserError(f"{path}: not a readable feature file ({error}); delete it and rerun") from error
