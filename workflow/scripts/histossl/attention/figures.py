"""Two figures of an encoder's attention: all heads' maps on a few patches, and the patches each head singles out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from histossl.attention.maps_file import AttentionMaps
from histossl.attention.measures import concentration, keep_mass
from histossl.attention.pictures import colour_map, masked, outlined, overlay
from histossl.figures.style import HEAT, PAGE_IN, drawing

HEIGHT_IN, LARGEST_IN = 9.0, 0.65
"""Of a page's figure, and of one picture of the mosaic."""
STEP, APART, HEADING = 1.06, 0.3, 0.32
"""From picture to picture, more between patches, and the line above some, in widths of one."""
BLOCK = 3 * STEP + HEADING
"""Map, overlay and mask."""
TITLE_IN, MARGIN_IN = 0.32, 0.75
BEST = 8
"""Patches of a head's row."""
SMALL, LETTER_SHARE = 6.5, 14.0
"""Of letters, points, and the most for each inch of a picture's side."""
NAME_LETTERS = 36
"""Of an encoder's name that titles have room for."""


def choose(pictures: np.ndarray, count: int) -> list[int]:
    """`count` patches from dark to bright, at equal steps of rank; of no more all are taken, as they stand."""
    if len(pictures) <= count:
        return list(range(len(pictures)))
    order = np.argsort(pictures.mean(axis=(1, 2, 3)), kind="stable")
    return order[((np.arange(count) + 0.5) * len(order) / count).astype(int)].tolist()


def draw_mosaic(found: AttentionMaps, chosen: Sequence[int], mass: float, svg: Path, png: Path) -> None:
    """Each of the `chosen` patches with every head's map, overlay, and mask that keeps `mass` of the attention.

    Patches lie side by side and heads in lines as makes the pictures largest on a page.
    """
    count, heads = len(chosen), found.maps.shape[1]
    beside, lines, size_in = arrange(count, heads)
    across = -(-heads // lines)
    small = min(SMALL, LETTER_SHARE * size_in)
    width, height = beside * (across + 1) * STEP + (beside - 1) * APART, -(-count // beside) * lines * BLOCK
    with drawing(PAGE_IN, height * size_in + TITLE_IN, svg, png) as figure:
        axes = _sheet(figure, width, height, size_in)
        for number, index in enumerate(chosen):
            patch, maps = found.pictures[index], found.maps[index]
            row, column = divmod(number, beside)
            left, top = column * ((across + 1) * STEP + APART), row * lines * BLOCK + HEADING
            _place(axes, patch, left, top, f"patch {number + 1}", small)
            for below, said in enumerate(("over the\npatch", f"mask of\n{mass:.0%}"), 1):
                axes.text(left + 0.92, top + below * STEP + 0.5, said, ha="right", va="center", fontsize=small)
            for head, (values, kept) in enumerate(zip(maps, keep_mass(maps, mass), strict=True)):
                line, place = divmod(head, across)
                at, first = left + (place + 1) * STEP, top + line * BLOCK
                _place(axes, colour_map(values, len(patch)), at, first, f"head {head + 1}", small)
                _place(axes, overlay(patch, values), at, first + STEP)
                _place(axes, masked(patch, kept), at, first + 2 * STEP)
        _title(figure, f"{_brief(found.encoder)}: attention {found.whose}")
        _colour_bar(figure)


def draw_heads(found: AttentionMaps, mass: float, svg: Path, png: Path) -> None:
    """For each head a row of the patches on which it is most concentrated, with the mask that keeps `mass` outlined."""
    heads, count = found.maps.shape[1], min(BEST, len(found.maps))
    scores = concentration(found.maps)
    size_in = min((PAGE_IN - MARGIN_IN) / (BEST * STEP), HEIGHT_IN / (heads * STEP))
    with drawing(PAGE_IN, heads * STEP * size_in + TITLE_IN, svg, png) as figure:
        axes = _sheet(figure, count * STEP, heads * STEP, size_in, MARGIN_IN)
        for head in range(heads):
            best = np.argsort(-scores[:, head], kind="stable")[:count]
            for column, index in enumerate(best):
                picture = outlined(found.pictures[index], keep_mass(found.maps[index, head], mass))
                _place(axes, picture, column * STEP, head * STEP)
            said = f"head {head + 1}\nup to {scores[best[0], head]:.2g}"
            axes.text(-0.08, head * STEP + 0.5, said, ha="right", va="center", fontsize=SMALL)
        said = f"of {len(found.maps)} patches, those on which each head is most concentrated"
        _title(figure, f"{_brief(found.encoder)}: {said}")


def arrange(patches: int, heads: int) -> tuple[int, int, float]:
    """How many patches lie side by side, in how many equal lines the heads of each, and the side of a picture, inches.

    The pictures are as large as a page lets them; of equally large ones, what takes the least of its height.
    """

    def fit(beside: int, lines: int) -> tuple[float, float, int, int]:
        width = beside * (1 + -(-heads // lines)) * STEP + (beside - 1) * APART
        height = -(-patches // beside) * lines * BLOCK
        size_in = round(min(LARGEST_IN, (PAGE_IN - 0.1) / width, HEIGHT_IN / height), 6)
        return size_in, -height, -beside, -lines

    even = [lines for lines in range(1, heads + 1) if heads % lines == 0]
    size_in, _, beside, lines = max(fit(beside, lines) for beside in range(1, patches + 1) for lines in even)
    return -beside, -lines, size_in


def _sheet(figure: Figure, width: float, height: float, size_in: float, left_in: float = 0.05) -> Axes:
    """Bare axes of their own place below the title, in units of one picture, y downwards."""
    figure.set_layout_engine("none")
    page_in = figure.get_figwidth(), figure.get_figheight()
    axes = figure.add_axes((left_in / page_in[0], 0, width * size_in / page_in[0], height * size_in / page_in[1]))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.axis("off")
    return axes


def _place(axes: Axes, picture: np.ndarray, left: float, top: float, heading: str = "", points: float = SMALL) -> None:
    axes.imshow(picture, extent=(left, left + 1, top + 1, top), aspect="auto", interpolation="antialiased")
    axes.text(left + 0.5, top - 0.05, heading, ha="center", va="bottom", fontsize=points)


def _title(figure: Figure, text: str) -> None:
    figure.text(0.01, 1 - 0.06 / figure.get_figheight(), text, va="top")


def _brief(name: str) -> str:
    return name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 1]}…"


def _colour_bar(figure: Figure) -> None:
    below = 1 - 0.16 / figure.get_figheight()
    axes = figure.add_axes((0.76, below, 0.1, 0.08 / figure.get_figheight()))
    bar = figure.colorbar(ScalarMappable(cmap=HEAT), cax=axes, orientation="horizontal", ticks=[])
    bar.outline.set_visible(False)
    figure.text(0.752, below, "none", ha="right", fontsize=SMALL)
    figure.text(0.868, below, "most of a map", fontsize=SMALL)
