"""Draw every tissue of a section in the order in which one lies over another."""

import numpy as np

from histossl.phantom import structures
from histossl.phantom.section import Section
from histossl.phantom.tumour import draw_tumour


def paint(
    regions: np.ndarray,
    spacing_um: float,
    arrangement: str,
    cells_per_mm2: float,
    rng: np.random.Generator,
    kind: type[Section] = Section,
) -> Section:
    """Draw a section whose tissues are given.

    Args:
        regions: (H, W) uint8 codes of `section.CLASSES`, one for each 4 x 4 pixels.
        spacing_um: µm per pixel.
        arrangement: "ductal" (nests) or "lobular" (files).
        cells_per_mm2: tumour cells in tumour regions.
        rng: source of all randomness.
        kind: what the section is; one that takes note of what it is made of is drawn alike.

    Returns:
        The section with its dye layers (4 H, 4 W), plus margins, filled in.
    """
    section = kind(regions, spacing_um, rng)
    structures.lay_grounds(section)
    structures.draw_adipocytes(section)
    structures.draw_stroma_cells(section)
    structures.draw_muscle_cells(section)
    structures.draw_mucus_cells(section)
    structures.draw_debris_cells(section)
    structures.draw_glands(section)
    structures.draw_dust(section)
    # The tumour comes last but one with a generator of its own, so that everything else is the same whichever
    # arrangement is drawn.
    (own,) = rng.spawn(1)
    structures.draw_lymphocytes(section)
    section.rng = own
    draw_tumour(section, arrangement, cells_per_mm2)
    return section
