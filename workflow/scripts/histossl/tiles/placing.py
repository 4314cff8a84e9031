"""From the outlines of a slide's tissue to its patches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from histossl.slides.metadata import SlideMetadata
from histossl.tiles.coords_file import Tiling
from histossl.tiles.grid import place_grid, touches
from histossl.tiles.tissue_file import Polygon, rasterise

MASK_SPACING_UM = 4.0
"""Fine enough that a patch's tissue fraction is exact to a few percent, small enough for any slide."""
COARSER_AT_MOST = 1.02
"""Scanners of a nominal 0.25 µm/px state up to 0.2528: so slight an enlargement is not worth a refusal."""
EXCLUDED = "pen_or_fill"


@dataclass(frozen=True)
class Placed:
    """Patches of a slide.

    Attributes:
        coords: (N, 2) int64, level-0 x and y of the top left corners, in reading order.
        fractions: (N,) float32, their share of tissue.
        reason: why there are none; empty where there are some.
        dropped: how many were left out, by reason.
    """

    coords: np.ndarray
    fractions: np.ndarray
    reason: str
    dropped: dict[str, int] = field(default_factory=dict)


def place_patches(polygons: list[Polygon], facts: Mapping[str, Any], metadata: SlideMetadata, tiling: Tiling) -> Placed:
    """Lay a grid over the tissue.

    Args:
        polygons: tissue, in level-0 pixels.
        facts: of `tissue.geojson`. `reason` says why there is no tissue; `excluded`, where given, are polygons of ink
            and scanner fill, and no patch touches them; `scale`, where given, is the level-0 pixels per pixel of the
            picture that was segmented, at whose scale outlines are exact.
        metadata: of the slide.
        tiling: what is asked for.
    """
    none = np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    if metadata.status != "ok":
        return Placed(*none, metadata.reason)
    ratio = tiling.spacing_um / metadata.spacing_um
    size = (metadata.width_px, metadata.height_px)
    side = tiling.patch_px * ratio
    if ratio * COARSER_AT_MOST < 1 and not tiling.allow_upsampling:
        reason = f"scanned at {metadata.spacing_um:g} µm/px, coarser than the {tiling.spacing_um:g} asked for"
        return Placed(*none, reason)
    if not polygons:
        return Placed(*none, facts.get("reason") or "no tissue found")
    if side > min(size):
        return Placed(*none, f"the slide of {size[0]} x {size[1]} px is smaller than a patch of {side:.0f} px")
    scale = float(facts.get("scale") or max(1.0, MASK_SPACING_UM / metadata.spacing_um))
    mask_px = (max(1, round(size[0] / scale)), max(1, round(size[1] / scale)))
    mask = rasterise(polygons, mask_px, scale)
    step = (tiling.patch_px - tiling.overlap_px) * ratio
    coords, fractions = place_grid(mask, size, side, step, tiling.min_tissue)
    if not len(coords):
        return Placed(coords, fractions, f"no patch holds {tiling.min_tissue:.0%} tissue")
    if not facts.get("excluded"):
        return Placed(coords, fractions, "")
    kept = ~touches(rasterise(facts["excluded"], mask_px, scale), size, coords, side)
    dropped = {EXCLUDED: int((~kept).sum())}
    reason = "" if kept.any() else f"all {len(kept)} patches with {tiling.min_tissue:.0%} tissue touch ink or fill"
    return Placed(coords[kept], fractions[kept], reason, dropped)


def drop_patches(placed: Placed, verdicts: list[str], names: tuple[str, ...]) -> Placed:
    """Leave out the patches whose verdict is not empty, and count them for each of `names`."""
    kept = np.array([not verdict for verdict in verdicts], bool)
    counts = {name: verdicts.count(name) for name in names}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    reason = "" if kept.any() else f"the quality filter leaves none of {len(kept)} patches ({said})"
    return Placed(placed.coords[kept], placed.fractions[kept], reason, placed.dropped | counts)
