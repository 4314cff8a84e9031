"""What can be laid over a slide: outlines of tissue, and the attention of each head that has judged it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from histossl.heatmaps.attention import find_problem, list_tested, rank_attention, read_attention
from histossl.heatmaps.canvas import colour_ranks, fit_size, spread_values
from histossl.heatmaps.choose import read_judged
from histossl.slides.metadata import SlideMetadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.tissue_file import read_tissue

LONGEST_PX, PIXELS_A_PATCH = 4096, 16


@dataclass(frozen=True)
class Heatmap:
    """A layer: names for people, and a transparent PNG that covers the whole slide."""

    name: str
    detail: str
    png: bytes


def read_rings(path: Path) -> list[list[list[float]]]:
    """Outlines and holes of tissue, level-0 pixels; none where nothing is segmented."""
    if not path.is_file():
        return []
    polygons, _ = read_tissue(path)
    return [ring for rings in polygons for ring in rings]


def find_attention(results: Path, tasks: Mapping[str, Any]) -> dict[tuple[str, str, str], Path]:
    """By task, encoder and model, the attention file of the heads trained on the largest fraction."""
    files: dict[tuple[str, str, str], Path] = {}
    for path in (results / "slide_eval").glob("*/*/*/*/attention.h5"):
        *head, fraction = path.relative_to(results / "slide_eval").parts[:4]
        key = (head[0], head[1], head[2])
        if head[0] in tasks and (key not in files or float(fraction) > float(files[key].parent.name)):
            files[key] = path
    return dict(sorted(files.items()))


def read_heatmaps(results: Path, tasks: Mapping[str, Any], metadata: SlideMetadata) -> list[Heatmap]:
    """The heatmaps of one slide, of each head that has tested it and whose attention tells patches apart.

    Raises:
        UserError: a file is damaged.
    """
    heatmaps = []
    for (task, encoder, model), path in find_attention(results, tasks).items():
        seed, tested = list_tested(path, metadata.slide)
        if metadata.slide not in tested:
            continue
        attention, coords = read_attention(path, metadata.slide)
        if find_problem(attention):
            continue
        judged, _ = read_judged(path.with_name("predictions.csv"), seed, tested)
        said = [
            f"label {one.label}, predicted {one.predicted} ({one.probability:.2f})"
            for one in judged
            if one.slide == metadata.slide
        ]
        tiles = read_coords(results / "tiles" / tasks[task]["tiling"] / f"{metadata.slide}.h5")
        png = draw_layer(coords, tiles.patch_level0, rank_attention(attention), metadata)
        heatmaps.append(Heatmap(f"{task} · {encoder} · {model}", "".join(said), png))
    return heatmaps


def draw_layer(coords: np.ndarray, patch_level0: float, ranks: np.ndarray, metadata: SlideMetadata) -> bytes:
    """A PNG of the whole slide: colours of the ranks, transparent where no patch is."""
    size = fit_size(metadata, patch_level0 * metadata.spacing_um / PIXELS_A_PATCH, LONGEST_PX)
    spread = spread_values(coords, patch_level0, ranks, metadata, size)
    opaque = np.where(np.isnan(spread), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", np.dstack([colour_ranks(spread)[..., ::-1], opaque]))[1].tobytes()
