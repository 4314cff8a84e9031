"""A picture as pyramidal TIFF that OpenSlide and QuPath open."""

from pathlib import Path

import cv2
import numpy as np
import tifffile

from histossl.files import whole_file

TILE_PX = 256


def write_pyramid(path: Path, picture: np.ndarray, spacing_um: tuple[float, float], description: str) -> None:
    """Write a tiled BigTIFF with levels of half the size each, whole or not at all.

    Deflate keeps colours as they are. The resolution tags are what OpenSlide's µm/px of a generic TIFF comes from.
    No date and no version are written.

    Args:
        path: file to write.
        picture: (H, W, 3) uint8, RGB.
        spacing_um: µm/px along x and y.
        description: what the picture shows.
    """
    level, downsample = picture, 1
    with whole_file(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=True) as tiff:
        while True:
            tiff.write(
                level,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="adobe_deflate",
                description=description.encode() if downsample == 1 else None,
                resolution=tuple(1e4 / um / downsample for um in spacing_um),
                resolutionunit="CENTIMETER",
                subfiletype=0 if downsample == 1 else 1,
                metadata=None,
                software=False,
                maxworkers=1,
            )
            if max(level.shape[:2]) <= TILE_PX:
                return
            downsample *= 2
            size = tuple(max(1, side // downsample) for side in picture.shape[1::-1])
            level = cv2.resize(level, size, interpolation=cv2.INTER_AREA)
