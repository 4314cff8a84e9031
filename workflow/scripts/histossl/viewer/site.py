"""The files of the page, all but the slide's tiles."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from histossl.errors import UserError
from histossl.heatmaps.canvas import colour_ranks
from histossl.slides.metadata import SlideMetadata
from histossl.viewer.layers import Heatmap
from histossl.viewer.tiles import OVERLAP_PX, TILE_PX

PAGE = Path(__file__).parent / "page"
LIBRARY = "openseadragon.min.js"
FETCHED = Path(__file__).parents[4] / ".viewer/node_modules/openseadragon/build/openseadragon" / LIBRARY
"""Where `make viewer` puts OpenSeadragon."""


def find_openseadragon(path: Path = FETCHED) -> Path:
    """OpenSeadragon's one file.

    Raises:
        UserError: it is not there.
    """
    if not path.is_file():
        raise UserError(f"{path}: OpenSeadragon is not there; run `make viewer` (needs npm)")
    return path


def build_files(
    metadata: SlideMetadata, tissue: list[list[list[float]]], heatmaps: Sequence[Heatmap], library: Path
) -> dict[str, bytes]:
    """Name and content of each file of the page.

    Args:
        metadata: of the slide.
        tissue: rings, level-0 pixels.
        heatmaps: layers, the first of which is shown.
        library: OpenSeadragon.
    """
    pictures = {f"attention_{number}.png": heatmap.png for number, heatmap in enumerate(heatmaps, start=1)}
    described = {
        "slide": metadata.slide,
        "facts": f"{metadata.width_px} × {metadata.height_px} px, {metadata.spacing_um:.4g} µm/px",
        "width": metadata.width_px,
        "height": metadata.height_px,
        "spacing_um": metadata.spacing_um,
        "tileSize": TILE_PX,
        "tileOverlap": OVERLAP_PX,
        "tissue": tissue,
        "heatmaps": [
            {"name": heatmap.name, "detail": heatmap.detail, "url": url}
            for url, heatmap in zip(pictures, heatmaps, strict=True)
        ],
        "colours": [f"#{colour.tobytes().hex()}" for colour in colour_ranks(np.linspace(0, 100, 17))],
    }
    # A script and not JSON to fetch: pages opened without a server may not fetch. ASCII, so that no letter ends a line.
    data = f"window.SLIDE = {json.dumps(described)};\n"
    page = {path.name: path.read_bytes() for path in sorted(PAGE.iterdir())}
    return {**page, LIBRARY: library.read_bytes(), "data.js": data.encode(), **pictures}
