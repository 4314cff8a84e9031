"""`tissue.geojson`: tissue as polygons in level-0 pixels, as QuPath opens it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from histossl.errors import UserError
from histossl.files import write_text_whole


def trace_polygons(mask: np.ndarray, scale: float) -> list[list[list[list[float]]]]:
    """Outlines of a bool mask (H, W) as GeoJSON polygons: each an outer ring and the rings of its holes.

    `scale` is level-0 pixels per mask pixel. OpenCV traces pixel centres; doubling the mask keeps the lost half
    pixel of each side small, and the shift by half a pixel puts the rings where the pixels' edges are.
    """
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [(contour[:, 0, :] + 0.5) * scale / 2 for contour in contours]
    closed = [[[round(float(x), 1), round(float(y), 1)] for x, y in (*ring, ring[0])] for ring in rings]
    outer = [i for i, contour in enumerate(contours) if hierarchy[0][i][3] < 0 and len(contour) >= 3]
    return [
        [closed[i], *(closed[j] for j in range(len(contours)) if hierarchy[0][j][3] == i and len(contours[j]) >= 3)]
        for i in outer
    ]


def write_tissue(path: Path, polygons: list[list[list[list[float]]]], facts: Mapping[str, Any]) -> None:
    """Write a FeatureCollection with one annotation a piece of tissue; `facts` stand under the key `histossl`."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {"objectType": "annotation", "classification": {"name": "Tissue", "color": [0, 160, 80]}},
        }
        for rings in polygons
    ]
    content = {"type": "FeatureCollection", "histossl": dict(facts), "features": features}
    write_text_whole(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_tissue(path: Path) -> tuple[list[list[list[list[float]]]], dict[str, Any]]:
    """Read polygons and facts.

    Raises:
        UserError: the file is not a GeoJSON FeatureCollection of polygons.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        polygons = []
        for geometry in (feature["geometry"] for feature in content["features"]):
            if geometry["type"] not in ("Polygon", "MultiPolygon"):
                raise TypeError(f"a {geometry['type']}")
            several = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
            polygons += [[[[float(x), float(y)] for x, y, *_ in ring] for ring in rings if ring] for rings in several]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no GeoJSON FeatureCollection of polygons ({error}); delete it and rerun") from error
    return polygons, content.get("histossl", {})


def rasterise(polygons: list[list[list[list[float]]]], size_px: tuple[int, int], scale: float) -> np.ndarray:
    """Fill polygons into a (height, width) bool mask; `size_px` is width, height, `scale` level-0 px per mask px."""
    mask = np.zeros(size_px[::-1], np.uint8)
    subpixel_bits = 4
    for rings in polygons:
        # A pixel's centre has the whole-number coordinate in OpenCV, its corner in GeoJSON: hence the half.
        fixed = [np.round((np.asarray(ring) / scale - 0.5) * 2**subpixel_bits).astype(np.int32) for ring in rings]
        piece = np.zeros_like(mask)
        cv2.fillPoly(piece, fixed, 1, shift=subpixel_bits)
        mask |= piece
    return mask.astype(bool)
