"""Slides whose tiles are JPEG, as scanners write them."""

import cv2
import numpy as np
import pytest
import tifffile


def textured(width=700, height=530, seed=5):
    """Colour at several scales, so that a wrong colour space, tile or shift shows."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for step in (4, 16, 64):
        rough = rng.normal(0, 40, (height // step + 2, width // step + 2, 3)).astype(np.float32)
        picture += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + np.array((200, 120, 170)), 0, 255).astype(np.uint8)


def write_jpeg_slide(path, picture=None, tile=64, downsamples=(1, 4), aperio=True, **tags):
    """A JPEG pyramid; sizes of levels are rounded down, so that their downsamples need not be whole."""
    picture = textured() if picture is None else picture
    height, width = picture.shape[:2]
    if aperio:
        tags["description"] = f"Aperio Image Library v1\r\n{width}x{height}|AppMag = 20|MPP = 0.5"
    options = {"photometric": "rgb", "subsampling": (2, 2), "tile": (tile, tile), "metadata": None, **tags}
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("order", "<")) as tiff:
        for downsample in downsamples:
            size = (width // downsample, height // downsample)
            level = picture if downsample == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            reduced = {} if downsample == 1 else {"subfiletype": 1}
            tiff.write(level, compression="jpeg", compressionargs={"level": 85}, **options, **reduced)
    return path


@pytest.fixture(scope="session")
def jpeg_slide(tmp_path_factory):
    """700 x 530 px, 64-px tiles, levels 1 and 4 (175 x 132: not whole); do not write to it."""
    return write_jpeg_slide(tmp_path_factory.mktemp("jpeg") / "jpeg.svs")
