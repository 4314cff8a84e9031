"""What tests of figures share: a table of results, and the figure as it is before it is written."""

import csv
import re

import matplotlib
import matplotlib.figure
import pytest

import histossl.figures.style as style

LONG = "encoder_$x$_<b>&amp;_with_a_long_name_{:02d}"


@pytest.fixture
def drawn(monkeypatch):
    """The figures drawn in a test, in order."""
    figures = []

    class Kept(matplotlib.figure.Figure):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            figures.append(self)

    monkeypatch.setattr(style, "Figure", Kept)
    return figures


@pytest.fixture
def write_table(tmp_path):
    """Write a table of AUC as `make_tables` does; rows are dictionaries of what differs from a default."""

    def write(rows, name="slide.csv", head="model"):
        defaults = {"task": "t", "encoder": "a", head: "abmil", "fraction": "1.0", "control": "", "vs_best": ""}
        cells = [f"{figure}{end}" for figure in ("auc", "auc_difference", "mse", "mse_difference") for end in ENDS]
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*defaults, *cells], restval="")
            writer.writeheader()
            writer.writerows({**defaults, **row} for row in rows)
        return tmp_path / name

    return write


ENDS = ("", "_low", "_high")


def interval(name, value, low, high):
    """Three cells of a table."""
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def texts(figure):
    """All that is written on a figure."""
    return " | ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def outside(figure):
    """Texts that reach over the figure's edge."""
    with matplotlib.rc_context(style.STYLE):
        figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    found = []
    for text in figure.findobj(lambda artist: type(artist).__name__ in ("Text", "Annotation")):
        # Matplotlib keeps numbers of ticks beyond an axis, and does not draw them.
        if text.get_visible() and re.search("[A-Za-z]", text.get_text()):
            box = text.get_window_extent()
            if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
                found.append(text.get_text())
    return found
