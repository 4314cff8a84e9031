"""The patches of a slide in runs, each for one reader."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histossl.features.geometry import Geometry
from histossl.features.readers import BATCH
from histossl.slides.guard import patches_limit_s
from histossl.slides.patches import read_patches_into
from histossl.slides.reader import Slide
from histossl.stain.normaliser import Normaliser
from histossl.tiles.coords_file import Coords

RUN = 4 * BATCH
"""Patches of a run: several rows of a slide, so that few tiles of the file are needed by two readers."""
USUAL_PX, STAIN_TIMES = 256, 4
"""What limits of time are made for, and how much longer patches may take whose stain is normalised."""
_opened: list[Slide] = []
"""Of this process, one at most: the runs of a slide follow each other."""


@dataclass(frozen=True)
class SlideRun:
    """Some patches of a slide; see `histossl.features.readers.Run`.

    Attributes:
        slide: number of the slide among those of the job.
        start: number of the first patch among the slide's.
        path: the slide's file.
        coords: (B, 2), level-0 x and y.
        patch_level0: side of a patch in level-0 pixels.
        patch_px: side that it is read at, px.
        normaliser: of the stain, (B, H, W, 3) uint8 to the same; None leaves it.
        geometry: brings patches to what the network takes; None leaves that to the device.
    """

    slide: int
    start: int
    path: Path
    coords: np.ndarray
    patch_level0: float
    patch_px: int
    normaliser: Normaliser | None = None
    geometry: Geometry | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, H, W, 3) as it is read."""
        side = self.geometry.input_px if self.geometry else self.patch_px
        return len(self.coords), side, side, 3

    @property
    def prepared(self) -> bool:
        """Whether it comes resized and cut to what the network takes."""
        return self.geometry is not None

    @property
    def limit_s(self) -> int:
        """Processor time that reading it may take."""
        large = max(1.0, (self.patch_px / USUAL_PX) ** 2) * (STAIN_TIMES if self.normaliser else 1)
        return patches_limit_s(int(len(self.coords) * large))

    def read(self, start: int, out: np.ndarray) -> None:
        """Fill `out`, (n, H, W, 3) uint8, from patch `start` on.

        Raises:
            UserError: the slide is damaged.
        """
        coords = self.coords[start : start + len(out)]
        try:
            slide = _open(self.path)
            if self.normaliser is None and self.geometry is None:
                read_patches_into(slide, coords, self.patch_level0, out)
                return
            raw = np.empty((1, self.patch_px, self.patch_px, 3), np.uint8)  # for all in turn: they may be large
            for place, at in zip(out, coords, strict=True):
                read_patches_into(slide, at[None], self.patch_level0, raw)
                (patch,) = self.normaliser(raw) if self.normaliser else raw
                place[:] = self.geometry.apply(patch) if self.geometry else patch
        except Exception:
            _close()  # OpenSlide's handles stay in error: a second try needs a new one
            raise


def cut_runs(
    slide: int, slide_file: Path, tiles: Coords, normaliser: Normaliser | None, geometry: Geometry | None
) -> Iterator[SlideRun]:
    """The runs that a slide's patches make up."""
    for start in range(0, len(tiles.coords), RUN):
        coords = tiles.coords[start : start + RUN]
        yield SlideRun(slide, start, slide_file, coords, tiles.patch_level0, tiles.patch_px, normaliser, geometry)


def _open(path: Path) -> Slide:
    if not _opened or _opened[0].path != path:
        _close()
        _opened.append(Slide(path))
    return _opened[0]


def _close() -> None:
    while _opened:
        _opened.pop().source.close()
