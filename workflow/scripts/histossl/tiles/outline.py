"""From a slide's file to the outlines of its tissue and a picture to check them by."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from histossl.slides.metadata import SlideMetadata, describe_slide
from histossl.slides.reader import Slide
from histossl.tiles.overlay import draw_overlay
from histossl.tiles.own_tissue import read_own_tissue
from histossl.tiles.tissue import TissueSettings, segment_tissue
from histossl.tiles.tissue_file import Polygon, rasterise, trace_polygons

LEAST_OVERLAY_PX = 500


@dataclass(frozen=True)
class Outline:
    """Tissue of one slide: rings in level-0 pixels, an overlay (h, w, 3) uint8 BGR, the facts of `tissue.geojson`."""

    polygons: list[Polygon]
    overlay: np.ndarray
    facts: dict[str, Any]


def examine_slide(
    slide_file: Path,
    slide: str,
    sheet_um: float | None,
    assumed_um: float | None,
    settings: TissueSettings,
    own_tissue: Path | None,
) -> tuple[SlideMetadata, Outline | None]:
    """Size, µm/px and tissue of a slide; no outline where its metadata says that it is excluded.

    Arguments are those of `inspect_slide` and `outline_tissue`.

    Raises:
        UserError: the slide is damaged, or the tissue file does not fit it.
    """
    with Slide(slide_file) as opened:
        metadata = describe_slide(opened, slide, sheet_um, assumed_um)
        usable = metadata.status == "ok"
        return metadata, outline_tissue(opened, metadata, settings, own_tissue) if usable else None


def outline_tissue(
    opened: Slide, metadata: SlideMetadata, settings: TissueSettings, own_tissue: Path | None
) -> Outline:
    """Segment the tissue of an open slide, or take it from `own_tissue` (see `histossl.tiles.own_tissue`).

    Raises:
        UserError: the slide is damaged, or the tissue file does not fit it.
    """
    picture = opened.thumbnail(settings.spacing_um, metadata.spacing_um)
    scale = metadata.width_px / picture.shape[1]
    px_mm2 = (scale * metadata.spacing_um / 1000) ** 2
    if own_tissue:
        polygons = read_own_tissue(own_tissue, (metadata.width_px, metadata.height_px), metadata.offset_px)
        mask = rasterise(polygons, (picture.shape[1], picture.shape[0]), scale)
        facts: dict[str, Any] = {"source": str(own_tissue)}
        nothing = f"{own_tissue} holds no tissue"
    else:
        tissue = segment_tissue(picture, settings)
        mask = tissue.mask
        polygons = trace_polygons(mask, scale)
        facts = {
            "source": "segmented",
            "pen_mm2": round(float(tissue.pen.sum()) * px_mm2, 4),
            "fill_mm2": round(float(tissue.fill.sum()) * px_mm2, 4),
            "threshold": tissue.threshold,
            "relaxed": tissue.relaxed,
            # For `histossl.tiles.placing`: the mask's own pixels, and what no patch may touch.
            "scale": scale,
            "excluded": trace_polygons(tissue.pen | tissue.fill, scale),
        }
        nothing = "no tissue found"
    facts |= {"area_mm2": round(float(mask.sum()) * px_mm2, 4), "reason": "" if polygons else nothing}
    if max(picture.shape) < LEAST_OVERLAY_PX:
        # A small slide is looked at more closely than it is segmented.
        longest_um = max(metadata.width_px, metadata.height_px) * metadata.spacing_um
        picture = opened.thumbnail(longest_um / LEAST_OVERLAY_PX, metadata.spacing_um)
        scale = metadata.width_px / picture.shape[1]
    return Outline(polygons, draw_overlay(picture, polygons, scale), facts)
