"""The files of one heatmap: figure, GeoJSON, TIFF; and what stands in their place."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from histossl.errors import UserError
from histossl.figures.style import draw_sentence
from histossl.heatmaps.attention import find_problem, rank_attention, read_attention
from histossl.heatmaps.canvas import colour_ranks, fit_size, spread_values
from histossl.heatmaps.choose import Judged
from histossl.heatmaps.figure import Ends, draw_heatmap
from histossl.heatmaps.geojson import write_geojson
from histossl.heatmaps.tiff import TILE_PX, write_pyramid
from histossl.slides.metadata import read_metadata
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.tiles.coords_file import read_coords

FIGURE_PX, TIFF_PX = 800, 8192
"""Longest sides: what print needs, and what stays below a gigabyte of memory."""
PATCH_PX = 160
"""Most pixels of a patch beside the map."""


class NoHeatmap(Exception):
    """There is nothing to draw; the message says why. Damaged results are errors, and no reason."""


class HeatmapFiles:
    """Paths of the files of one heatmap."""

    def __init__(self, figures: Path, exports: Path, slot: str) -> None:
        # Not `with_suffix`: a slide's id may hold dots.
        self.svg, self.png = (Path(figures) / f"{slot}.{kind}" for kind in ("svg", "png"))
        self.geojson, self.tiff = (Path(exports) / f"{slot}.{kind}" for kind in ("geojson", "tiff"))

    def write_sentence(self, sentence: str) -> None:
        """Files without a heatmap, which say why."""
        draw_sentence(sentence, self.svg, self.png)
        empty = np.zeros(0)
        write_geojson(self.geojson, empty.reshape(0, 2), 0, empty, empty, {"reason": sentence})
        write_pyramid(self.tiff, np.full((TILE_PX, TILE_PX, 3), 255, np.uint8), (1, 1), sentence)


def write_heatmap(
    files: HeatmapFiles,
    judged: Judged,
    head: str,
    attention_file: Path,
    slide_file: Path,
    metadata_file: Path,
    coords_file: Path,
    spacing_um: float,
    patches: int,
) -> None:
    """Write the files of one slide.

    Args:
        files: where to.
        judged: the slide and its prediction.
        head: task, encoder and model, for the title.
        attention_file: of the head.
        slide_file: the slide.
        metadata_file: its metadata.
        coords_file: its coordinates in the tiling, which state the side of its patches.
        spacing_um: µm/px of the picture, coarser where that would be too large.
        patches: how many are shown at either end of the attention.

    Raises:
        NoHeatmap: there is nothing to draw, or the slide cannot be read any more.
        UserError: a result is damaged.
    """
    attention, coords = read_attention(attention_file, judged.slide)
    if problem := find_problem(attention):
        raise NoHeatmap(f"No heatmap of slide {judged.slide} ({head}): {problem}.")
    metadata, patch_level0 = read_metadata(metadata_file), read_coords(coords_file).patch_level0
    if not metadata.spacing_um or not patch_level0:
        raise NoHeatmap(f"No heatmap of slide {judged.slide} ({head}): its µm/px is not known.")
    ranks = rank_attention(attention)
    facts = {"head": head, **asdict(judged)}
    write_geojson(files.geojson, coords, patch_level0, attention, ranks, facts, metadata.offset_px)

    size = fit_size(metadata, spacing_um, TIFF_PX)
    coloured = colour_ranks(spread_values(coords, patch_level0, ranks, metadata, size))
    own_um = (metadata.width_px / size[0] * metadata.spacing_um, metadata.height_px / size[1] * metadata.spacing_um)
    write_pyramid(files.tiff, coloured, own_um, f"{head}, slide {judged.slide}: percentile rank of attention, viridis")

    width = fit_size(metadata, spacing_um, FIGURE_PX)[0]
    shown_um = metadata.spacing_um * metadata.width_px / width
    try:
        with Slide(slide_file) as slide:
            picture = slide.thumbnail(shown_um, metadata.spacing_um)
            ends = _read_ends(slide, attention, coords, patch_level0, patches, metadata.width_px / width)
    except UserError as error:
        raise NoHeatmap(f"{error}; to draw it when it can be read, delete {files.svg} and rerun") from error
    title = (
        f"Slide {judged.slide}, label {judged.label}: predicted {judged.predicted} with probability "
        f"{judged.probability:.2f} ({head}, fold {judged.fold})"
    )
    averaged = spread_values(coords, patch_level0, ranks, metadata, picture.shape[1::-1])
    draw_heatmap(picture, averaged, shown_um, ends, title, files.svg, files.png)


def _read_ends(
    slide: Slide, attention: np.ndarray, coords: np.ndarray, patch_level0: float, patches: int, downsample: float
) -> tuple[Ends, Ends]:
    """The patches with the highest attention and those with the lowest, none of them in both."""
    order = np.argsort(-attention, kind="stable")
    shown = min(patches, len(order) // 2)
    side = min(PATCH_PX, max(1, round(patch_level0)))
    highest, lowest = (
        Ends(
            list(read_patches(slide, coords[some], patch_level0, side)),
            (coords[some] + patch_level0 / 2) / downsample,
            attention[some] / attention.mean(),
        )
        for some in (order[:shown], order[::-1][:shown])
    )
    return highest, lowest
