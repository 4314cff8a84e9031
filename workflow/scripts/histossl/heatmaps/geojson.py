"""Attention as GeoJSON: a tile for each patch, with its measurements and colour, as QuPath opens it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from histossl.files import write_text_whole
from histossl.heatmaps.canvas import colour_ranks

RANK, ATTENTION = "Attention percentile", "Attention"


def write_geojson(
    path: Path,
    coords: np.ndarray,
    patch_level0: float,
    attention: np.ndarray,
    ranks: np.ndarray,
    facts: Mapping[str, Any],
    offset_px: tuple[int, int] = (0, 0),
) -> None:
    """Write a FeatureCollection of squares, whole or not at all; `facts` stand under the key `histossl`.

    Properties are those of QuPath's objects (0.4 and later): `objectType`, `color` (RGB) and `measurements`. QuPath
    counts from `offset_px` (`SlideMetadata.offset_px`), so do the coordinates.
    """
    left, top = (np.asarray(coords, float).reshape(-1, 2) - offset_px).T
    right, bottom = left + patch_level0, top + patch_level0
    rings = np.round(np.stack([left, top, right, top, right, bottom, left, bottom, left, top], axis=1), 2)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "objectType": "tile",
                "color": colour,
                "measurements": {RANK: round(rank, 3), ATTENTION: float(f"{weight:.6g}")},
            },
        }
        for ring, colour, rank, weight in zip(
            rings.reshape(-1, 5, 2).tolist(),
            colour_ranks(ranks).tolist(),
            ranks.tolist(),
            attention.tolist(),
            strict=True,
        )
    ]
    content = {"type": "FeatureCollection", "histossl": dict(facts), "features": features}
    write_text_whole(path, json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
