"""The figure of one slide: attention over the greyed slide, and the patches at its two ends."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import SubFigure

from histossl.figures.style import HEAT, PAGE_IN, drawing
from histossl.heatmaps.canvas import colour_ranks

MAP_IN, LOWEST_IN, HIGHEST_IN = 4.7, 2.6, 5.5
ALPHA = 0.55
"""Of the colours over the slide."""
ENDS = (("Highest", "o", "#D55E00"), ("Lowest", "v", "#0072B2"))
"""Name, marker and colour of either end."""


@dataclass(frozen=True)
class Ends:
    """The patches at one end of the attention, the outermost first.

    Attributes:
        pictures: (patch_px, patch_px, 3) uint8, RGB.
        centres_px: (k, 2), on the picture of the slide.
        times_mean: (k,), attention over the mean of all patches.
    """

    pictures: list[np.ndarray]
    centres_px: np.ndarray
    times_mean: np.ndarray


def draw_heatmap(
    picture: np.ndarray, ranks: np.ndarray, spacing_um: float, ends: tuple[Ends, Ends], title: str, svg: Path, png: Path
) -> None:
    """Draw one slide.

    Args:
        picture: (H, W, 3) uint8, RGB: the slide.
        ranks: (H, W) percentile ranks, NaN where no patch is.
        spacing_um: µm/px of both.
        ends: highest and lowest patches.
        title: text of any content.
        svg: file to write.
        png: file to write.
    """
    height, width = picture.shape[:2]
    title = textwrap.fill(title, 105)
    needed_in = 0.75 * len(ends[0].pictures) + 0.4
    height_in = min(max(MAP_IN * height / width, needed_in, LOWEST_IN), HIGHEST_IN) + 0.7 + 0.13 * title.count("\n")
    with drawing(PAGE_IN, height_in, svg, png) as figure:
        figure.suptitle(title, fontsize=8)
        left, right = figure.subfigures(1, 2, width_ratios=[MAP_IN, PAGE_IN - MAP_IN])
        axes = left.add_subplot()
        axes.imshow(lay_over(picture, ranks), interpolation="none")  # in SVG as it is, not enlarged
        axes.set_axis_off()
        for end, (_, marker, colour) in zip(ends, ENDS, strict=True):
            axes.scatter(*end.centres_px.T, marker=marker, s=22, facecolor="white", edgecolor=colour, linewidth=1.2)
        _draw_scale_bar(axes, width, height, spacing_um)
        scale = ScalarMappable(mpl.colors.Normalize(0, 100), HEAT)
        bar = left.colorbar(scale, ax=axes, orientation="horizontal", fraction=0.05, aspect=40, pad=0.02, alpha=ALPHA)
        bar.set_label("Attention, percentile rank within the slide")
        _draw_ends(right, ends)


def lay_over(picture: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The slide (H, W, 3) in grey, with colours of the ranks (H, W) where patches are."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    alpha = np.where(np.isnan(ranks), 0, ALPHA)[..., None].astype(np.float32)
    return np.rint(grey * (1 - alpha) + colour_ranks(ranks) * alpha).astype(np.uint8)


def round_length(most_um: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most `most_um`."""
    power = 10.0 ** np.floor(np.log10(most_um))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most_um))


def _draw_scale_bar(axes: mpl.axes.Axes, width: int, height: int, spacing_um: float) -> None:
    length_um = round_length(width * spacing_um / 4)
    text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    start, y = 0.03 * width, 0.97 * height
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
    axes.annotate(text, (start, y), (0, 5), textcoords="offset points", ha="left", va="bottom", fontsize=7, bbox=box)
    axes.plot([start, start + length_um / spacing_um], [y, y], color="white", linewidth=4, solid_capstyle="butt")
    axes.plot([start, start + length_um / spacing_um], [y, y], color="black", linewidth=2, solid_capstyle="butt")


def _draw_ends(figure: SubFigure, ends: tuple[Ends, Ends]) -> None:
    rows = len(ends[0].pictures)
    grid = figure.subplots(rows, 2, squeeze=False)
    figure.supxlabel("number: attention over the slide's mean", fontsize=7)
    for column, (end, (name, marker, colour)) in enumerate(zip(ends, ENDS, strict=True)):
        for row, (picture, times) in enumerate(zip(end.pictures, end.times_mean, strict=True)):
            axes = grid[row, column]
            axes.imshow(picture, interpolation="none")
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"{times:.2g}×", fontsize=7, labelpad=1)
            for spine in axes.spines.values():
                spine.set(visible=True, color=colour, linewidth=1.2)
        sign = {"o": "●", "v": "▼"}[marker]
        grid[0, column].set_title(f"{sign} {name}", color=colour, pad=3)
