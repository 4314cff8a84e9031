"""The critical-difference diagram (Demšar 2006): mean ranks of the encoders over tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from histossl.figures.labels import shorten
from histossl.figures.results import Result, heads_of, of_task
from histossl.figures.style import PAGE_IN, draw_sentence, drawing
from histossl.statistics.metrics import Floats
from histossl.statistics.ranks import alike, critical_distance, mean_ranks
from histossl.tables.pairs import SMALLER_IS_BETTER
from histossl.tables.sections import COMPARED

LEAST_ENCODERS, LEAST_TASKS = 3, 5
"""With fewer, Nemenyi's distance is about as wide as the ranks themselves."""
LINE_IN = 0.17


def task_quality(tables: Mapping[str, Sequence[Result]]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """What encoders are ranked by on each task.

    A task counts once, with the first kind of table that has it and the mean over its heads: its heads, and several
    figures of the same patches, are no data sets of their own. Of slide tasks the largest training fraction counts.

    Args:
        tables: results by kind of table.

    Returns:
        The encoders that every task has; and by task the quality of each encoder, larger is better, of those with a
        figure for every head.
    """
    quality: dict[str, dict[str, float]] = {}
    for kind, results in tables.items():
        sign = -1 if COMPARED[kind][0] in SMALLER_IS_BETTER else 1
        taken = set(quality)
        for task in dict.fromkeys(result.task for result in results):
            own = of_task(results, task)
            heads = len(heads_of(own))
            by_encoder: dict[str, list[float]] = {}
            for result in own:
                by_encoder.setdefault(result.encoder, []).append(sign * result.figure.value)
            means = {name: float(np.mean(values)) for name, values in by_encoder.items() if len(values) == heads}
            means = {name: value for name, value in means.items() if np.isfinite(value)}
            # A slide task and a patch task may share a name.
            name = f"{kind}: {task}" if kind == "slide" else task
            if means and name not in taken:
                quality[name] = means
    shared = [name for name in next(iter(quality.values()), {}) if all(name in each for each in quality.values())]
    return shared, quality


def draw_critical_difference(tables: Mapping[str, Sequence[Result]], level: float, svg: Path, png: Path) -> None:
    """Draw the mean ranks over all tasks, with a bar over encoders that cannot be told apart.

    Args:
        tables: results by kind of table.
        level: 0.95 tells encoders apart at 5%.
        svg: the figure.
        png: the same.
    """
    names, quality = task_quality(tables)
    if len(names) < LEAST_ENCODERS or len(quality) < LEAST_TASKS:
        draw_sentence(
            f"No critical-difference diagram: {len(names)} encoders have figures on all of {len(quality)} tasks; at "
            f"least {LEAST_ENCODERS} encoders and {LEAST_TASKS} tasks are needed for ranks that mean something.",
            *(svg, png),
        )
        return
    ranks = mean_ranks(np.array([[each[name] for name in names] for each in quality.values()]))
    distance = critical_distance(len(names), len(quality), level)
    groups = alike(ranks, distance)
    top, bottom = 3.6, lowest_row(len(names), len(groups)) - 0.7
    with drawing(PAGE_IN, 0.4 + LINE_IN * (top - bottom), svg, png) as figure:
        axes = figure.subplots()
        axes.set_ylim(bottom, top)  # in lines of text; what is annotated beyond would not be drawn
        axes.set_axis_off()
        axes.set_title(f"mean rank over {len(quality)} tasks (1 is best); joined: not told apart at {1 - level:.2g}")
        draw_scale(axes, len(names), distance)
        draw_names(axes, names, ranks, len(groups))
        rising = np.sort(ranks)
        for index, (first, last) in enumerate(groups):
            ends = [rising[first] - 0.03, rising[last] + 0.03]
            axes.plot(ends, [-0.6 - 0.5 * index] * 2, color="black", linewidth=3, solid_capstyle="butt")


def lowest_row(encoders: int, groups: int) -> float:
    """Where the lowest name stands, below the axis and the bars of the groups."""
    return -1.2 - 0.5 * groups - (-(-encoders // 2) - 1)


def draw_scale(axes: Axes, encoders: int, distance: float) -> None:
    """The axis of ranks, and above it how long the critical distance is."""
    axes.plot([1, encoders], [0, 0], color="black", linewidth=1)
    for rank in range(1, encoders + 1):
        axes.plot([rank, rank], [0, 0.3], color="black", linewidth=1)
        axes.annotate(str(rank), (rank, 0.4), ha="center", va="bottom")
    axes.plot([1, 1 + distance], [2.2, 2.2], color="black", linewidth=1.5, marker="|", markersize=6)
    axes.annotate(f"critical distance {distance:.2f}", (1, 2.5), ha="left", va="bottom")


def draw_names(axes: Axes, names: Sequence[str], ranks: Floats, groups: int) -> None:
    """Each encoder's name, joined to its rank: the better half at the left, the others at the right."""
    count, order = len(names), np.argsort(ranks, kind="stable")
    half, width = -(-count // 2), count - 1
    top = lowest_row(count, groups) + half - 1
    for place, index in enumerate(order):
        left = place < half
        row = top - (place if left else count - 1 - place)
        edge = 1 - 0.08 * width if left else count + 0.08 * width
        axes.plot([ranks[index], ranks[index], edge], [0, row, row], color="0.35", linewidth=0.8)
        text = (
            f"{shorten(names[index])}  {ranks[index]:.2f}" if left else f"{ranks[index]:.2f}  {shorten(names[index])}"
        )
        side = -0.02 * width if left else 0.02 * width
        axes.annotate(text, (edge + side, row), ha="right" if left else "left", va="center", fontsize="small")
