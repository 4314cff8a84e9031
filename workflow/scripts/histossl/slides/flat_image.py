"""Pictures without a pyramid, wholly in memory: PNG, JPEG, BMP and plain TIFF, for small data sets."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from histossl.errors import UserError
from histossl.slides.glass import GLASS, lay_over_glass

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
"""As Pillow names them."""
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""8 bits a channel and less; more would be cut off without notice."""
X_RESOLUTION = 282
"""TIFF tag."""
MAX_PX = 80_000_000
"""Below the size at which Pillow itself warns of decompression bombs; 240 MB as RGB."""


class FlatImage:
    """See `histossl.slides.source.PixelSource`. Rotation that a camera notes in Exif is not applied."""

    def __init__(self, path: Path) -> None:
        """Read `path`.

        Raises:
            UserError: it is no picture of these formats, too large, of more than 8 bits, or damaged.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd metadata: what matters is checked here
                picture = Image.open(path, formats=FORMATS)
                with picture:
                    self._pixels, self.properties = _read(path, picture)
        except UserError:
            raise
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise all sorts for a damaged file
            message = f"{path}: not a readable picture ({type(error).__name__}: {error}); replace the file"
            raise UserError(message) from error
        height, width = self._pixels.shape[:2]
        self.level_sizes: tuple[tuple[int, int], ...] = ((width, height),)
        self.level_downsamples: tuple[float, ...] = (1.0,)

    def read_level(self, level: int, x: int, y: int, out: np.ndarray) -> None:
        """Fill `out`; see `PixelSource`."""
        del level  # there is one
        height, width = out.shape[:2]
        part = self._pixels[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
        if part.shape != out.shape:
            out[:] = GLASS
        top, left = max(0, -y), max(0, -x)
        out[top : top + part.shape[0], left : left + part.shape[1]] = part

    def close(self) -> None:
        """Free the pixels."""
        self._pixels = np.empty((0, 0, 3), np.uint8)


def _read(path: Path, picture: Image.Image) -> tuple[np.ndarray, Mapping[str, str]]:
    width, height = picture.size
    if width * height > MAX_PX:
        raise UserError(
            f"{path}: a flat picture of {width} x {height} px, more than {MAX_PX:,} px in all; convert it to a "
            "pyramidal TIFF (e.g. with `vips tiffsave --pyramid --tile`)"
        )
    if picture.mode not in MODES:
        raise UserError(f"{path}: has pixels of the kind {picture.mode!r}; save it with 8 bits a channel")
    properties = {"openslide.vendor": "flat", **_resolution(picture)}
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        rgba = np.asarray(picture.convert("RGBA"))
        pixels = np.empty((height, width, 3), np.uint8)
        lay_over_glass(rgba, pixels)
        return pixels, properties
    return np.asarray(picture.convert("RGB")), properties


def _resolution(picture: Image.Image) -> dict[str, str]:
    """Pixels per inch, if stated, by the names that TIFF's tags have in OpenSlide.

    Pillow finds them in TIFF's tags, PNG's pHYs, JPEG's JFIF or Exif header and BMP's header.
    """
    stated = "dpi" in picture.info
    if picture.format == "TIFF":
        stated = stated and X_RESOLUTION in picture.tag_v2  # without the tag, Pillow says 1 dpi
    if not stated:
        return {}
    x, y = picture.info["dpi"]
    kind = "tiff" if picture.format == "TIFF" else "image"
    return {
        f"{kind}.ResolutionUnit": "inch",
        f"{kind}.XResolution": f"{float(x):.10g}",
        f"{kind}.YResolution": f"{float(y):.10g}",
    }
