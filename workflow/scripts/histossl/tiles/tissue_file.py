"""`results/slides/{slide}/tissue.geojson`: outlines of tissue in level-0 pixels, as QuPath opens it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from histossl.errors import UserError
from histossl.files import write_text_whole

Polygon = list[list[list[float]]]
"""Rings of [x, y]: the outer one, then those of the holes; the last point repeats the first."""
SUBPIXEL_BITS = 4
FACTS = '"histossl": '
"""What stands before the facts in a file of `write_tissue`."""


def trace_polygons(mask: np.ndarray, scale: float) -> list[Polygon]:
    """Outlines of a bool mask (H, W), along the edges of its pixels; `scale` is level-0 pixels per mask pixel.

    OpenCV traces the centres of pixels. It is therefore given a grid whose nodes are the corners, sides and centres of
    the mask's pixels: a pixel covers three by three nodes, and the outermost of them lie on its edges.
    """
    if not mask.any():
        return []
    nodes = np.zeros((2 * mask.shape[0] + 1, 2 * mask.shape[1] + 1), np.uint8)
    nodes[1::2, 1::2] = mask
    nodes = cv2.dilate(nodes, np.ones((3, 3), np.uint8))
    contours, hierarchy = cv2.findContours(nodes, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [np.round(contour[:, 0, :] * (scale / 2), 1).tolist() for contour in contours]
    polygons = {i: [[*ring, ring[0]]] for i, ring in enumerate(rings) if hierarchy[0][i][3] < 0}
    for i, ring in enumerate(rings):
        if hierarchy[0][i][3] >= 0:
            polygons[hierarchy[0][i][3]].append([*ring, ring[0]])
    return list(polygons.values())


def rasterise(polygons: list[Polygon], size_px: tuple[int, int], scale: float) -> np.ndarray:
    """Pixels whose centres lie within polygons: a (height, width) bool mask.

    Args:
        polygons: rings in level-0 pixels; polygons may overlap.
        size_px: width and height of the mask.
        scale: level-0 pixels per mask pixel.
    """
    mask = np.zeros(size_px[::-1], bool)
    for rings in polygons:
        points = [np.asarray(ring) / scale for ring in rings]
        left, top = np.maximum(np.floor(points[0].min(0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(points[0].max(0)).astype(int), size_px)
        if right <= left or bottom <= top:
            continue
        # On the nodes of `trace_polygons`: OpenCV fills what lies on an edge too, and so no centre of a pixel does.
        fixed = [np.round((ring - (left, top)) * 2 * 2**SUBPIXEL_BITS).astype(np.int32) for ring in points]
        nodes = np.zeros((2 * (bottom - top) + 1, 2 * (right - left) + 1), np.uint8)
        # Each polygon by itself: in one call, those that overlap would cancel each other.
        cv2.fillPoly(nodes, fixed, 1, shift=SUBPIXEL_BITS)
        mask[top:bottom, left:right] |= nodes[1::2, 1::2].view(bool)
    return mask


def shift(polygons: list[Polygon], by_px: Sequence[int]) -> list[Polygon]:
    """Polygons moved by x and y level-0 pixels."""
    if not any(by_px):
        return polygons
    return [[(np.asarray(ring) + by_px).tolist() for ring in rings] for rings in polygons]


def write_tissue(
    path: Path, polygons: list[Polygon], facts: Mapping[str, Any], offset_px: tuple[int, int] = (0, 0)
) -> None:
    """Write a FeatureCollection with one annotation a piece of tissue; `facts` stand under the key `histossl`.

    `offset_px` is where QuPath's coordinates start (`SlideMetadata.offset_px`); `read_tissue` gives level-0 pixels
    again.
    """
    facts = {**facts, "offset_px": list(offset_px)}
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {"objectType": "annotation", "classification": {"name": "Tissue", "color": [0, 160, 80]}},
        }
        for rings in shift(polygons, [-offset_px[0], -offset_px[1]])
    ]
    content = {"type": "FeatureCollection", "histossl": dict(facts), "features": features}
    write_text_whole(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_tissue(path: Path) -> tuple[list[Polygon], dict[str, Any]]:
    """Read polygons and facts.

    Raises:
        UserError: the file is not a GeoJSON FeatureCollection of polygons.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        polygons = [rings for feature in content["features"] for rings in polygons_of(feature)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no GeoJSON FeatureCollection of polygons ({error}); delete it and rerun") from error
    facts = content.get("histossl", {})
    return shift(polygons, facts.get("offset_px", (0, 0))), facts


def read_tissue_facts(path: Path) -> dict[str, Any]:
    """The facts of a file that `write_tissue` wrote. They stand before the polygons, which take far longer to parse.

    Raises:
        UserError: the file is none of `write_tissue`'s, or is cut off.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        facts, _ = json.JSONDecoder().raw_decode(text, text.index(FACTS) + len(FACTS))
        if not text.endswith("]}\n"):
            raise ValueError("it is cut off")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable tissue file ({error}); delete it and rerun") from error
    return facts


def polygons_of(feature: Mapping[str, Any]) -> list[Polygon]:
    """The polygons of one GeoJSON feature; a third coordinate is dropped.

    Raises:
        KeyError, TypeError, ValueError: it holds something else than polygons.
    """
    geometry = feature["geometry"]
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        raise TypeError(f"a {geometry['type']}")
    several = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [[[[float(x), float(y)] for x, y, *_ in ring] for ring in rings if ring] for rings in several]
