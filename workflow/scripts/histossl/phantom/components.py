"""What each pixel of a drawn section is part of: nuclei, tumour cells, stroma, lumen.

A section that takes note is drawn by the same functions with the same random numbers, so that it has the same pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from histossl.phantom.section import CODE, MARGIN_PX, REGION_STEP, Section
from histossl.phantom.sprites import Look
from histossl.phantom.structures import EPITHELIUM, FIBROBLAST, LYMPHOCYTE, SMOOTH_MUSCLE, TUMOUR_NUCLEUS

COMPONENTS = ("nuclei", "tumour cells", "stroma", "lumen")
NUCLEI = (LYMPHOCYTE, FIBROBLAST, SMOOTH_MUSCLE, EPITHELIUM, TUMOUR_NUCLEUS)
FIBROUS = ("stroma", "tumour", "normal")
"""Classes whose ground is stroma; see `structures.GROUNDS`."""
EMPTY_STEPS = 3
"""What is filled with no more of either dye is a lumen, of a gland or of a fat cell."""


@dataclass
class KnownSection(Section):
    """A section that takes note of what is drawn where."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.nuclei, self.empty, self.filled = (np.zeros(self.haematoxylin.shape, bool) for _ in range(3))

    def stamp(self, look: Look, points_um: np.ndarray, angle: np.ndarray | None = None, tumour: bool = False) -> None:
        """Stamp as a section does; a nucleus is where it stains darker than what was there."""
        before = self.haematoxylin.copy()
        super().stamp(look, points_um, angle, tumour)
        if look in NUCLEI:
            self.nuclei |= self.haematoxylin > before

    def fill(self, outline_um: np.ndarray, haematoxylin: int, eosin: int) -> None:
        """Fill as a section does; what lies inside is no ground any more, and empty where there is next to no dye."""
        super().fill(outline_um, haematoxylin, eosin)
        corners = np.round(outline_um / self.spacing_um + MARGIN_PX).astype(np.int32)
        inside = cv2.fillPoly(np.zeros(self.filled.shape, np.uint8), [corners], 1) > 0
        self.filled |= inside
        self.nuclei &= ~inside
        self.empty &= ~inside
        if max(haematoxylin, eosin) <= EMPTY_STEPS:
            self.empty |= inside

    def components(self) -> dict[str, np.ndarray]:
        """Each of `COMPONENTS` as (H, W) bool; nuclei of tumour cells are both, all others exclude each other."""
        nuclei, empty, filled = (self.inner(layer) for layer in (self.nuclei, self.empty, self.filled))
        tumour = self.inner(self.tumour) > 0
        fibrous = np.isin(self.regions, [CODE[name] for name in FIBROUS])
        fibrous = np.kron(fibrous, np.ones((REGION_STEP, REGION_STEP), bool))
        layers = (nuclei, tumour, fibrous & ~(nuclei | tumour | filled), empty & ~(nuclei | tumour))
        return dict(zip(COMPONENTS, layers, strict=True))
