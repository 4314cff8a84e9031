"""`results/tiles/{tiling}/{slide}.h5`: patch coordinates that CLAM's and TRIDENT's code can read too."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from histossl.errors import UserError
from histossl.files import whole_file
from histossl.slides.metadata import SlideMetadata


@dataclass(frozen=True)
class Tiling:
    """What was asked for: square patches of `patch_px` at `spacing_um` µm/px, `overlap_px` shared by neighbours."""

    patch_px: int
    spacing_um: float
    overlap_px: int
    min_tissue: float


@dataclass(frozen=True)
class Coords:
    """The patches of one slide: level-0 top left corners (N, 2), their level-0 side, and why there are none."""

    slide: str
    coords: np.ndarray
    patch_px: int
    patch_level0: float
    spacing_um: float
    reason: str


def write_coords(
    path: Path, coords: np.ndarray, tissue_fraction: np.ndarray, tiling: Tiling, metadata: SlideMetadata, reason: str
) -> None:
    """Write coordinates with the union of the attributes that CLAM and TRIDENT write, whole or not at all."""
    ratio = tiling.spacing_um / metadata.spacing_um if metadata.spacing_um else 0.0
    size = (metadata.width_px, metadata.height_px)
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        dataset = file.create_dataset("coords", data=coords.astype(np.int64).reshape(-1, 2), maxshape=(None, 2))
        file.create_dataset("tissue_fraction", data=tissue_fraction.astype(np.float32))
        dataset.attrs.update(
            # CLAM: level-0 pixels, shrunk by `custom_downsample`
            patch_size=tiling.patch_px,
            patch_level=0,
            custom_downsample=ratio,
            downsample=(1.0, 1.0),
            level_dim=size,
            downsampled_level_dim=size,
            name=metadata.slide,
            save_path="",
            # TRIDENT
            patch_size_level0=round(tiling.patch_px * ratio),
            level0_magnification=round(10 / metadata.spacing_um) if metadata.spacing_um else 0,
            target_magnification=round(10 / tiling.spacing_um),
            overlap=tiling.overlap_px,
            savetodir="",
            level0_width=metadata.width_px,
            level0_height=metadata.height_px,
            # histossl: the exact scale and where it is known from
            spacing_um=tiling.spacing_um,
            level0_spacing_um=metadata.spacing_um,
            spacing_source=metadata.spacing_source,
            patch_level0=tiling.patch_px * ratio,
            min_tissue=tiling.min_tissue,
            reason=reason,
        )


def read_coords(path: Path) -> Coords:
    """Read the coordinates of one slide.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            dataset = file["coords"]
            attributes = dict(dataset.attrs)
            return Coords(
                slide=str(attributes["name"]),
                coords=dataset[:],
                patch_px=int(attributes["patch_size"]),
                patch_level0=float(attributes["patch_level0"]),
                spacing_um=float(attributes["spacing_um"]),
                reason=str(attributes["reason"]),
            )
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # h5py has many for a damaged file
        raise UserError(f"{path}: not a readable coordinate file ({error}); delete it and rerun") from error
