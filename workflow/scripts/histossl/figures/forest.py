"""Encoders on one task: estimate with interval, and difference to the control, a row of panels a head."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from histossl.figures.labels import shorten
from histossl.figures.results import Interval, Result, axis_label, heads_of, of_task
from histossl.figures.style import COLOURS, PAGE_IN, draw_sentence, drawing
from histossl.tables.pairs import WORSE

ROW_IN, HEAD_IN = 0.17, 0.75


def draw_forest(results: Sequence[Result], kind: str, task: str, level: float, svg: Path, png: Path) -> None:
    """Draw one task of a table; a hollow mark is an encoder that is worse than the best (see the table's notes).

    Args:
        results: of the table.
        kind: of the table.
        task: whose encoders.
        level: of the intervals.
        svg: the figure.
        png: the same.
    """
    own = of_task(results, task)
    if not any(result.figure.known for result in own):
        draw_sentence(f"{task}: no forest plot, since no encoder has {axis_label(kind)} there.", svg, png)
        return
    heads, encoders = heads_of(own), list(dict.fromkeys(result.encoder for result in own))
    columns = 2 if any(result.difference.known for result in own) else 1
    fraction = f", {own[0].fraction:.0%} of the training patients" if kind == "slide" else ""
    with drawing(PAGE_IN, len(heads) * (HEAD_IN + ROW_IN * len(encoders)) + 0.4, svg, png) as figure:
        hollow = "; hollow: worse than the best" if any(result.verdict == WORSE for result in own) else ""
        figure.suptitle(f"{task}{fraction}{hollow}", fontsize="medium")
        grid = figure.subplots(len(heads), columns, squeeze=False, sharex="col")
        for head, panels in zip(heads, grid, strict=True):
            rows = [result for result in own if result.head == head]
            places = np.array([-encoders.index(result.encoder) for result in rows])
            draw_estimates(panels[0], rows, [result.figure for result in rows], places)
            panels[0].set_title(head)
            panels[0].set_yticks(-np.arange(len(encoders)), [shorten(name) for name in encoders])
            panels[0].set_ylim(-len(encoders) + 0.4, 0.6)
            if columns > 1:
                draw_estimates(panels[1], rows, [result.difference for result in rows], places)
                panels[1].axvline(0, color="0.5", linewidth=0.8, zorder=1)
                panels[1].set_title(f"{head}: difference to the control")
                panels[1].set_yticks(-np.arange(len(encoders)), [])
                panels[1].set_ylim(-len(encoders) + 0.4, 0.6)
        labels = (f"{axis_label(kind)}, {100 * level:g}% interval", f"difference, {100 * level:g}% interval")
        for axes, label in zip(grid[-1], labels, strict=False):
            axes.set_xlabel(label)


def draw_estimates(axes: Axes, rows: Sequence[Result], intervals: Sequence[Interval], places: np.ndarray) -> None:
    """Draw a mark and an interval a row."""
    for result, interval, place in zip(rows, intervals, places, strict=True):
        if interval.known:
            face = "white" if result.verdict == WORSE else COLOURS[0]
            arms = np.array(interval.arms).reshape(2, 1)
            axes.errorbar(
                interval.value, place, xerr=arms, color=COLOURS[0], marker="o", markerfacecolor=face, capsize=2
            )
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
