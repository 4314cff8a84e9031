"""Tissue that a person or another program has outlined: GeoJSON as QuPath exports it, or a mask picture."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from histossl.errors import UserError
from histossl.tiles.tissue_file import Polygon, polygons_of, shift, trace_polygons

GEOJSON = (".geojson", ".json")
MAX_ASPECT_DIFFERENCE = 0.02
"""Relative: a mask whose sides are rounded to its own pixels still belongs to its slide."""
TISSUE = "tissue"


def read_own_tissue(path: Path, slide_px: tuple[int, int], offset_px: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """Read outlines in level-0 pixels, or a picture of the whole slide in which tissue is not black.

    Of a GeoJSON with annotations of several classes, those of the class Tissue are taken where there are any, else
    all whose class QuPath does not ignore (names that end with an asterisk).

    Args:
        path: .geojson or .json (a FeatureCollection, a list of features, or one), else a picture of any size.
        slide_px: width and height of the slide at level 0.
        offset_px: where the coordinates of a GeoJSON start, see `SlideMetadata.offset_px`.

    Raises:
        UserError: the file is missing, is neither, or does not fit the slide.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such tissue file; correct the slide sheet's column tissue_path or leave it blank")
    drawn = path.suffix.lower() in GEOJSON
    polygons = shift(_read_geojson(path), offset_px) if drawn else _read_mask(path, slide_px)
    if polygons:
        points = np.concatenate([np.asarray(rings[0]) for rings in polygons])
        if (points.min(0) >= slide_px).any() or (points.max(0) <= 0).any():
            raise UserError(
                f"{path}: its outlines lie outside the slide of {slide_px[0]} x {slide_px[1]} px; they must be in "
                "level-0 pixels"
            )
    return polygons


def _read_geojson(path: Path) -> list[Polygon]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = content if isinstance(content, list) else content.get("features", [content])
        drawn = [(_class_name(feature), polygons_of(feature)) for feature in features]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a GeoJSON of polygons ({error}); export annotations as GeoJSON") from error
    named = any(name.lower() == TISSUE for name, _ in drawn)
    chosen = [found for name, found in drawn if (name.lower() == TISSUE if named else not name.endswith("*"))]
    return [rings for found in chosen for rings in found if rings and len(rings[0]) > 2]


def _class_name(feature: dict[str, Any]) -> str:
    classification = (feature.get("properties") or {}).get("classification") or {}
    return str(classification.get("name") or "")


def _read_mask(path: Path, slide_px: tuple[int, int]) -> list[Polygon]:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise UserError(f"{path}: neither GeoJSON nor a readable picture; give one of both")
    scales = [length / side for length, side in zip(slide_px, mask.shape[::-1], strict=True)]
    if abs(scales[0] - scales[1]) > MAX_ASPECT_DIFFERENCE * max(scales):
        raise UserError(
            f"{path}: has {mask.shape[1]} x {mask.shape[0]} px, other proportions than the slide's {slide_px[0]} x "
            f"{slide_px[1]} px; give a mask of the whole slide"
        )
    # The sides' scales differ a little where the mask's size was rounded.
    polygons = trace_polygons(mask > 0, 1.0)
    return [[(np.asarray(ring) * scales).round(1).tolist() for ring in rings] for rings in polygons]
