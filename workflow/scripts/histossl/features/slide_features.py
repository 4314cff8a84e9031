"""`results/features/{encoder}/slides/{tiling}/{slide}.h5`: the feature vectors of one slide's patches.

Features (N, D) and coordinates (N, 2) stand side by side, as CLAM's and TRIDENT's readers expect them. A file carries
the fingerprint of all that made it, so that a job over many slides embeds only those that changed.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from histossl.encoders.encoder_file import EncoderCard
from histossl.errors import UserError
from histossl.features.embed import Embedder
from histossl.features.prefetch import prefetch
from histossl.files import whole_file
from histossl.slides.guard import MEMORY_MB, iterate_apart, patches_limit_s
from histossl.slides.patches import read_patches_into
from histossl.slides.reader import Slide
from histossl.tiles.coords_file import Coords

CHUNK_ROWS = 256


def fingerprint_inputs(slide_file: Path, tiles: Coords, encoder: str, code: str) -> str:
    """Fingerprint of what a slide's features depend on: its pixels, its coordinates, the encoder and the code.

    `encoder` is a text that differs where weights or preprocessing differ.

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


def embed_slide(slide_file: Path, tiles: Coords, embedder: Embedder, batch: int, threads: int) -> Iterator[np.ndarray]:
    """Yield the features of a slide's patches, (B, D) float32 each; nothing where there are no patches.

    The slide is read in a process of its own, ahead of the network, so that a file that crashes its decoder is one
    slide lost and not the job.

    Raises:
        UserError: the slide is damaged, or the encoder gives values that are not finite.
    """
    if len(tiles.coords):
        limit_s = patches_limit_s(len(tiles.coords))
        piece = max(1, batch // max(1, threads))
        # What the threads hold (see `prefetch`), one on its way, and room for each thread and its heap.
        piece_mb = piece * tiles.patch_px**2 * 3 / 2**20 + tiles.patch_level0**2 * 3 / 2**20
        held_mb = int((2 * threads + 4) * piece_mb) + 160 * threads
        reading = (slide_file, tiles, piece, threads)
        pieces = iterate_apart(_read_pieces, *reading, seconds=limit_s, memory_mb=MEMORY_MB + held_mb)
        for patches in _join(pieces, batch):
            yield embedder.embed(patches)


def write_slide_features(
    path: Path,
    batches: Iterable[np.ndarray],
    coords_file: Path,
    card: EncoderCard,
    weights_hash: str,
    facts: dict[str, str],
) -> int:
    """Write features beside their coordinates (with all attributes of `coords_file`), whole or not at all.

    Rows are written as they come: memory does not grow with their number. Returns how many there were.

    Args:
        path: HDF5 to write.
        batches: features of the first patches of `coords_file`, (B, D) float32 each.
        coords_file: HDF5 of `tile_slide`.
        card: the encoder's.
        weights_hash: of its weights.
        facts: further attributes: the encoder's name, the fingerprint, the reason where there are no rows.
    """
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file, h5py.File(coords_file, "r") as source:
        rows = 0
        dataset = file.create_dataset(
            "features",
            (0, card.feature_dim),
            np.float32,
            maxshape=(None, card.feature_dim),
            chunks=(CHUNK_ROWS, card.feature_dim),
        )
        for batch in batches:
            dataset.resize(rows + len(batch), axis=0)
            dataset[rows:] = batch
            rows += len(batch)
        dataset.attrs.update(encoder=facts["encoder"], name=str(source["coords"].attrs["name"]), savetodir="")
        coords = file.create_dataset("coords", data=source["coords"][:rows])
        coords.attrs.update(dict(source["coords"].attrs))
        file.attrs.update(
            model=card.model, mean=card.mean, std=card.std, input_px=card.input_px, weights_sha256=weights_hash, **facts
        )
    return rows


def read_fingerprint(path: Path) -> str:
    """Fingerprint of a feature file; empty where the file is missing or damaged."""
    try:
        with h5py.File(path, "r") as file:
            if file["features"].shape[0] != file["coords"].shape[0]:
                return ""
            return str(file.attrs["fingerprint"])
    except (OSError, KeyError, RuntimeError, TypeError, ValueError):  # h5py has many for a damaged file
        return ""


def read_slide_features(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and level-0 coordinates (N, 2).

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return file["features"][:], file["coords"][:]
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a readable feature file ({error}); delete it and rerun") from error


def _read_pieces(slide_file: Path, tiles: Coords, piece: int, threads: int) -> Iterator[np.ndarray]:
    """Yield patches, (B, patch_px, patch_px, 3) uint8, in the order of the coordinates.

    Several pieces are a batch, so that all threads read for the same batch.
    """
    with Slide(slide_file) as slide:
        pieces = [tiles.coords[i : i + piece] for i in range(0, len(tiles.coords), piece)]

        def read(coords: np.ndarray) -> np.ndarray:
            patches = np.empty((len(coords), tiles.patch_px, tiles.patch_px, 3), np.uint8)
            read_patches_into(slide, coords, tiles.patch_level0, patches)
            return patches

        yield from prefetch(read, pieces, threads)


def _join(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Gather pieces into batches of at least `size` rows, the last one excepted."""
    held: list[np.ndarray] = []
    rows = 0
    for piece in pieces:
        held.append(piece)
        rows += len(piece)
        if rows >= size:
            yield np.concatenate(held)
            held, rows = [], 0
    if held:
        yield np.concatenate(held)
