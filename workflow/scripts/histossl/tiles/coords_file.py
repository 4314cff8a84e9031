"""`results/tiles/{tiling}/{slide}.h5`: patch coordinates that CLAM's and TRIDENT's code can read too.

Both of them take a patch's side from `patch_size`: CLAM in pixels of the level `patch_level`, TRIDENT in pixels at
`target_magnification`, enlarged by `level0_magnification / target_magnification` before it reads. The one way to say
the same field to both, at any µm/px and without a rounded magnification in between, is to speak of level 0 alone:
`patch_size` is the side in level-0 pixels, the level is 0 and the two magnifications are equal. The side is whole
there, so the field they read may be half a level-0 pixel off; ours is exact, from `patch_px`, `patch_level0` and
`spacing_um`. Their transforms then resize patches to what the network takes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from histossl.errors import UserError
from histossl.files import whole_file
from histossl.hdf5 import create_hdf5, read_array, write_array
from histossl.slides.metadata import SlideMetadata

DROPPED = "dropped_"


@dataclass(frozen=True)
class Tiling:
    """What was asked for.

    Attributes:
        patch_px: side of the square patches, px.
        spacing_um: their scale, µm/px.
        overlap_px: shared by neighbours, px.
        min_tissue: smallest share of tissue, 0 to 1.
        allow_upsampling: enlarge patches of a slide that is coarser than `spacing_um`, instead of refusing it.
        quality: limits of `histossl.tiles.quality.QualitySettings`; None judges no patch.
    """

    patch_px: int
    spacing_um: float
    overlap_px: int
    min_tissue: float
    allow_upsampling: bool = False
    quality: Mapping[str, float | None] | None = None


@dataclass(frozen=True)
class Coords:
    """The patches of one slide.

    Attributes:
        slide: slide id.
        coords: (N, 2) int64, level-0 x and y of the top left corners.
        patch_px: side of a patch as a network sees it, px.
        patch_level0: its side in level-0 pixels; need not be whole.
        spacing_um: its scale, µm/px.
        reason: why there are none; empty where there are some.
        dropped: how many patches were left out, by reason.
    """

    slide: str
    coords: np.ndarray
    patch_px: int
    patch_level0: float
    spacing_um: float
    reason: str
    dropped: dict[str, int] = field(default_factory=dict)


def write_coords(
    path: Path,
    coords: np.ndarray,
    tissue_fraction: np.ndarray,
    tiling: Tiling,
    metadata: SlideMetadata,
    reason: str,
    dropped: Mapping[str, int] | None = None,
) -> None:
    """Write coordinates with the union of the attributes that CLAM and TRIDENT write, whole or not at all.

    Args:
        path: the HDF5 file.
        coords: (N, 2), level-0 x and y of the top left corners; N may be 0.
        tissue_fraction: (N,), 0 to 1.
        tiling: what was asked for.
        metadata: of the slide; one without µm/px gives an empty file.
        reason: why there are no patches.
        dropped: how many patches were left out, by reason; each becomes an attribute `dropped_<reason>`.
    """
    ratio = tiling.spacing_um / metadata.spacing_um if metadata.spacing_um else 0.0
    size = (metadata.width_px, metadata.height_px)
    side = round(tiling.patch_px * ratio)
    # Equal for both: only their ratio has a meaning, and TRIDENT divides by each of them.
    magnification = max(1, round(10 / metadata.spacing_um)) if metadata.spacing_um else 1
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        dataset = write_array(file, "coords", np.asarray(coords, np.int64).reshape(-1, 2))
        write_array(file, "tissue_fraction", np.asarray(tissue_fraction, np.float32))
        dataset.attrs.update(
            # CLAM
            patch_size=side,
            patch_level=0,
            custom_downsample=1,
            downsample=(1.0, 1.0),
            level_dim=size,
            downsampled_level_dim=size,
            name=metadata.slide,
            save_path="",
            # TRIDENT
            patch_size_level0=side,
            level0_magnification=magnification,
            target_magnification=magnification,
            overlap=round(tiling.overlap_px * ratio),
            savetodir="",
            level0_width=metadata.width_px,
            level0_height=metadata.height_px,
            # histossl: the exact scale and where it is known from
            patch_px=tiling.patch_px,
            overlap_px=tiling.overlap_px,
            spacing_um=tiling.spacing_um,
            level0_spacing_um=metadata.spacing_um,
            spacing_source=metadata.spacing_source,
            patch_level0=tiling.patch_px * ratio,
            upsampled=bool(0 < ratio < 1),
            min_tissue=tiling.min_tissue,
            quality=json.dumps(dict(tiling.quality) if tiling.quality is not None else None),
            reason=reason,
            **{DROPPED + name: int(count) for name, count in (dropped or {}).items()},
        )


def read_coords(path: Path, level0_spacing_um: float | None = None) -> Coords:
    """Read the coordinates of one slide: a file of ours, CLAM's `patches/<id>.h5` or TRIDENT's `<id>_patches.h5`.

    Args:
        path: the HDF5 file.
        level0_spacing_um: µm per level-0 pixel of the slide. Needed for files of CLAM and TRIDENT, which do not state
            it (a magnification is no scale: 40x may be anything from 0.2 to 0.3 µm/px); not used for ours.

    Raises:
        UserError: the file is missing or damaged, or its patches' µm/px cannot be known.
    """
    try:
        with h5py.File(path, "r") as file:
            coords = _check(read_array(file, "coords"))
            attributes = dict(file["coords"].attrs)
        if "patch_level0" in attributes:
            return _read_ours(coords, attributes)
        patch_px = int(attributes["patch_size"])
        if patch_px < 1:
            raise ValueError(f"patch_size is {patch_px}")
        patch_level0 = patch_px * _find_downsample(attributes, patch_px)
        slide = str(attributes.get("name") or Path(path).stem.removesuffix("_patches"))
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # h5py has many for a damaged file
        raise UserError(f"{path}: not a readable coordinate file ({error}); delete it and rerun") from error
    if level0_spacing_um is None:
        raise UserError(
            f"{path}: coordinates of CLAM or TRIDENT state no µm/px; read them together with the slide's µm/px"
        )
    return Coords(slide, coords, patch_px, patch_level0, level0_spacing_um * patch_level0 / patch_px, "")


def _read_ours(coords: np.ndarray, attributes: dict[str, Any]) -> Coords:
    return Coords(
        slide=str(attributes["name"]),
        coords=coords,
        patch_px=int(attributes["patch_px"]),
        patch_level0=float(attributes["patch_level0"]),
        spacing_um=float(attributes["spacing_um"]),
        reason=str(attributes["reason"]),
        dropped={
            name.removeprefix(DROPPED): int(count) for name, count in attributes.items() if name.startswith(DROPPED)
        },
    )


def _find_downsample(attributes: dict[str, Any], patch_px: int) -> float:
    """Level-0 pixels per pixel of a patch, as the code that wrote the file would read it."""
    if {"level0_magnification", "target_magnification"} <= set(attributes):
        # TRIDENT; its patch_size_level0 is rounded down, while its patcher reads the rounded product.
        source, target = (float(attributes[f"{name}_magnification"]) for name in ("level0", "target"))
        downsample = round(patch_px * source / target) / patch_px if target else 0.0
    else:
        level = int(attributes["patch_level"])
        if level and "downsample" not in attributes:
            raise ValueError(f"patch_level is {level}, but how much smaller that level is stands nowhere")
        # CLAM: of x and of y, from the sizes of the levels. `custom_downsample` comes from forks of CLAM: TRIDENT's
        # feature extraction takes it as a further reduction, so that the field grows with it.
        downsample = float(np.mean(attributes["downsample"])) if level else 1.0
        downsample *= float(attributes.get("custom_downsample", 1))
    if not 0 < downsample < np.inf:
        raise ValueError(f"its patches are reduced by {downsample:g}")
    return downsample


def _check(coords: np.ndarray) -> np.ndarray:
    if coords.size == 0:
        return np.zeros((0, 2), np.int64)
    if coords.ndim != 2 or coords.shape[1] != 2 or coords.dtype.kind not in "iu":
        raise ValueError(f"coords are {coords.dtype} of shape {coords.shape} instead of whole numbers (N, 2)")
    return coords.astype(np.int64)
