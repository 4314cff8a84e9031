"""How pretraining went: loss and health by step, and the encoders beside each other."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from histossl.figures.labels import legend_height_in, place_legend
from histossl.figures.style import COLOURS, PAGE_IN, colour_of, draw_sentence, drawing, marker_of
from histossl.ssl.collapse import HEALTHY

Curve = Sequence[Mapping[str, Any]]
PANELS = {
    "loss of a batch": {"loss": ""},
    "spread of features": {"eval_feature_std": "fixed patches", "feature_std": "training batch"},
    "RankMe, dimensions": {"rankme": ""},
    "KNN balanced accuracy": {"knn_balanced_accuracy": ""},
    "teacher's entropy, share of ln K": {"teacher_entropy_share": "of a patch", "mean_teacher_entropy_share": "mean"},
    "learning rate": {"learning_rate": ""},
}
"""By title, the figures of a panel as `training.jsonl` names them, with their labels."""
COMPARED = ("spread of features", "RankMe, dimensions", "KNN balanced accuracy")
"""What says the same of any method; of several figures the first. A loss does not."""
COLUMNS, PANEL_IN = 3, 1.55
HEADROOM = 0.2
"""Above the lines, for a legend; as a share of their range."""
FEW = 30
"""Up to so many points each has a marker."""


def find_series(curve: Curve, figure: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values (n,) of a figure, where it was logged and is a finite number."""
    found = [(line["step"], line[figure]) for line in curve if is_number(line.get(figure))]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, float), np.array(values, float)


def is_number(value: object) -> bool:
    """Whether a cell of a curve can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def find_collapses(curve: Curve) -> list[tuple[int, str]]:
    """Step and verdict of each examination that found a collapse."""
    return [(line["step"], line["verdict"]) for line in curve if line.get("verdict", HEALTHY) != HEALTHY]


def draw_training(encoder: str, curve: Curve, svg: Path, png: Path) -> None:
    """Draw one run, a panel a figure; collapses are vertical lines.

    Args:
        encoder: its name.
        curve: the lines of its `training.jsonl`.
        svg: the figure.
        png: the same.
    """
    panels = {
        title: figures for title, figures in PANELS.items() if any(len(find_series(curve, f)[0]) for f in figures)
    }
    if not panels:
        draw_sentence(f"{encoder}: no curve, since no figure of its training is a finite number.", svg, png)
        return
    collapses = find_collapses(curve)
    verdict = f"{collapses[-1][1]} (step {collapses[-1][0]})" if collapses else HEALTHY
    rows = -(-len(panels) // COLUMNS)
    with drawing(PAGE_IN, PANEL_IN * rows + 0.4, svg, png) as figure:
        said = f"{encoder}, {curve[-1]['step']} steps: {verdict}"
        figure.suptitle(textwrap.fill(said, 100), fontsize="medium")
        grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for axes, (title, figures) in zip(grid.flat, panels.items(), strict=False):
            draw_figures(axes, curve, figures)
            axes.set_title(title)
            for step, _ in collapses:
                axes.axvline(step, ymax=1 / (1 + HEADROOM), color="0.5", linestyle=":")
        hide_rest(grid, len(panels), "step")


def draw_figures(axes: Axes, curve: Curve, figures: Mapping[str, str]) -> None:
    """Lines of one panel, told apart by their dashes too."""
    for index, (name, label) in enumerate(figures.items()):
        steps, values = find_series(curve, name)
        if len(steps):
            marker = "o" if len(steps) <= FEW else ""
            style = {"color": COLOURS[index], "linestyle": ("-", "--")[index], "marker": marker, "markersize": 2.5}
            axes.plot(steps, values, label=label, **style)
    if len(axes.lines) > 1:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + HEADROOM * (high - low))
        axes.legend(loc="upper center", ncols=2, borderaxespad=0, columnspacing=0.8, handlelength=1.5)


def hide_rest(grid: np.ndarray, count: int, label: str) -> None:
    """Take away the panels beyond `count`, and label the x axes of the lowest that stay."""
    for index, axes in enumerate(grid.flat):
        axes.set_visible(index < count)
        if index < count <= index + grid.shape[1]:
            axes.set_xlabel(label)
            axes.xaxis.set_tick_params(labelbottom=True)


def draw_comparison(curves: Mapping[str, Curve], batches: Mapping[str, int], svg: Path, png: Path) -> None:
    """Draw the health of several runs against the images that they have seen, a line an encoder.

    Args:
        curves: by encoder, the lines of its `training.jsonl`.
        batches: images of a step, by encoder.
        svg: the figure.
        png: the same.
    """
    panels = {}
    for title in COMPARED:
        figure = next(iter(PANELS[title]))
        series = {encoder: find_series(curve, figure) for encoder, curve in curves.items()}
        panels[title] = {encoder: found for encoder, found in series.items() if len(found[0])}
    panels = {title: series for title, series in panels.items() if len(series) > 1}
    if not panels:
        sentence = f"Nothing to compare: of {len(curves)} encoders trained here no two have figures of their health."
        draw_sentence(sentence, svg, png)
        return
    names = list(curves)
    colours, markers = colour_of(names), marker_of(names)
    with drawing(PAGE_IN, 2.2 + legend_height_in(PAGE_IN, names), svg, png) as drawn:
        lines: dict[str, Any] = {}
        for axes, (title, series) in zip(
            drawn.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True
        ):
            for name, (steps, values) in series.items():
                style = {"color": colours[name], "marker": markers[name], "markevery": max(1, len(steps) // 8)}
                (lines[name],) = axes.plot(steps * batches[name], values, **style)
            axes.set_title(title)
            axes.set_xlabel("images seen")
        place_legend(drawn, list(lines.values()), list(lines))
