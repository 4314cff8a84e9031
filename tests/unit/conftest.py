"""Synthetic slides: small lossless pyramids, so that what is read can be compared with what was written."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

SPACING_UM = 0.5
PINK = (214, 120, 180)


def draw_blob(width_px=640, height_px=512, centre=(320, 256), radii=(170, 120)):
    """White glass with an ellipse of stained, textured tissue: the picture and the truth."""
    truth = np.zeros((height_px, width_px), np.uint8)
    cv2.ellipse(truth, centre, radii, 20, 0, 360, 1, -1)
    noise = np.random.default_rng(3).normal(0, 14, (height_px, width_px, 3))
    glass = 246 + noise * 0.1
    picture = np.where(truth[..., None] == 1, np.array(PINK) + noise, glass)
    return np.clip(picture, 0, 255).astype(np.uint8), truth.astype(bool)


def write_slide(path, picture, spacing_um=SPACING_UM, downsamples=(1, 4), **tags):
    """A tiled, deflated pyramid; with `spacing_um` it has an Aperio header, without it is a plain tiled TIFF."""
    height, width = picture.shape[:2]
    described = {}
    if spacing_um is not None:
        header = f"Aperio Image Library v1\r\n{width}x{height} (64x64)|AppMag = {10 / spacing_um:g}|MPP = {spacing_um}"
        described = {"description": header}
    with tifffile.TiffWriter(path) as tiff:
        for downsample in downsamples:
            size = (width // downsample, height // downsample)
            level = picture if downsample == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            reduced = {} if downsample == 1 else {"subfiletype": 1}
            tiff.write(
                level,
                tile=(64, 64),
                photometric="rgb",
                compression="deflate",
                metadata=None,
                **described,
                **reduced,
                **tags,
            )
    return path


@dataclass(frozen=True)
class Drawn:
    path: Path
    picture: np.ndarray
    truth: np.ndarray


@pytest.fixture(scope="session")
def drawn_slide(tmp_path_factory):
    """A slide of 640 x 512 px at 0.5 µm/px with one blob of tissue; do not write to it."""
    picture, truth = draw_blob()
    return Drawn(write_slide(tmp_path_factory.mktemp("slide") / "blob.svs", picture), picture, truth)


@pytest.fixture
def make_slide():
    return write_slide


@pytest.fixture
def tissue_settings():
    """The schema's defaults, at a scale that suits pictures of a few hundred pixels."""
    return {
        "spacing_um": 2.0,
        "threshold": "glass",
        "min_contrast": 1.5,
        "relaxed_contrast": 1.0,
        "min_saturation": 12,
        "max_saturation": 30,
        "relaxed_saturation": 8,
        "smooth_um": 10.0,
        "close_um": 0.0,
        "min_area_mm2": 0.0005,
        "min_hole_mm2": 0.0002,
        "max_holes": None,
        "exclude_pen": True,
    }
