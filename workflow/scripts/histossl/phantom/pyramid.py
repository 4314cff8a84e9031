"""Write a slide as scanners do: a pyramid of tiled JPEG levels in one TIFF file with an Aperio header."""

from pathlib import Path

import cv2
import numpy as np
import tifffile

DOWNSAMPLES = (1, 4, 16)
TILE_PX = 256
JPEG_QUALITY = 85


def write_pyramid(path: Path, image: np.ndarray, spacing_um: float | None) -> None:
    """Write a pyramidal TIFF that OpenSlide opens as an Aperio slide.

    The file holds no time and no version, so equal images give equal bytes. The layout of the header follows
    OpenSlide's notes on the format (https://openslide.org/formats/aperio/).

    Args:
        path: file to write.
        image: (H, W, 3) uint8, red, green, blue.
        spacing_um: µm per pixel to state, with the magnification that belongs to it (10 µm/px at 1x); None states
            neither.
    """
    height, width = image.shape[:2]
    header = f"Aperio Image Library v11.2.1 \r\n{width}x{height}"
    facts, resolution = "", {}
    if spacing_um is not None:
        facts = f"|AppMag = {10 / spacing_um:g}|MPP = {spacing_um:.4f}"
        resolution = {"resolution": (1e4 / spacing_um, 1e4 / spacing_um), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        for downsample in DOWNSAMPLES:
            size = (width // downsample, height // downsample)
            level = image if downsample == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            shrunk = "" if downsample == 1 else f" -> {size[0]}x{size[1]}"
            tiff.write(
                level,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": JPEG_QUALITY},
                subsampling=(2, 2),
                description=f"{header}{shrunk} ({TILE_PX}x{TILE_PX}) JPEG/RGB Q={JPEG_QUALITY}{facts}",
                metadata=None,
                software=False,
                maxworkers=1,
                **(resolution if downsample == 1 else {}),
            )
