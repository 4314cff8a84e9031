"""How figures look: print size, colours that a colour-blind reader can tell apart, the same bytes each time.

Figures are SVG, for reports and print, and PNG at 300 dots an inch. No window system is needed, and no global state is
changed: figures are made without `pyplot`.
"""

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from histossl.files import whole_file

COLUMN_IN, PAGE_IN = 3.5, 7.2
"""Width of a figure over one column and over two, inches, as journals have them."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's palette (2008), the darker ones first."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Beside colours, so that a figure can be read in grey too."""
HEAT = "viridis"
"""Map of a quantity: rises evenly in lightness, for colour-blind readers too."""
DOTS_PER_IN = 300
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file may hold."""
STYLE = {
    "text.parse_math": False,  # a label may hold a dollar sign
    "text.usetex": False,
    "font.family": "DejaVu Sans",  # comes with Matplotlib
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "svg.hashsalt": "histossl",
    "svg.fonttype": "path",
}


@contextmanager
def drawing(width_in: float, height_in: float, svg: Path, png: Path) -> Iterator[Figure]:
    """Yield an empty figure; write it to `svg` and `png` when the block ends, each whole or not at all.

    Its layout is Matplotlib's constrained one: labels, legends and colour bars get room of their own.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure
        for path in (Path(svg), Path(png)):
            kind = path.suffix[1:]
            # Without a date and a version, or the same figure would be other bytes.
            metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
            with whole_file(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=DOTS_PER_IN, metadata=metadata)
                if kind == "svg":  # Matplotlib writes each text into a comment, whatever it holds
                    text = temporary.read_text(encoding="utf-8")
                    temporary.write_text(NO_XML.sub("\N{REPLACEMENT CHARACTER}", text), encoding="utf-8")


def draw_sentence(sentence: str, svg: Path, png: Path) -> None:
    """In the place of a figure that can't be drawn: the sentence that says why."""
    with drawing(PAGE_IN, 1.0, svg, png) as figure:
        figure.text(0.5, 0.5, textwrap.fill(sentence, 110), ha="center", va="center")


def colour_of(names: list[str]) -> dict[str, str]:
    """A colour for each name, in order; they repeat after eight, where markers help."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def marker_of(names: list[str]) -> dict[str, str]:
    """A marker for each name; with the colour it stays unique up to 56 names."""
    return {name: MARKERS[(index + index // len(COLOURS)) % len(MARKERS)] for index, name in enumerate(names)}
