"""The map of patch features as a figure: coloured by class, and by split where a data set has several."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from histossl.figures.labels import shorten
from histossl.figures.style import COLOURS, COLUMN_IN, PAGE_IN, draw_sentence, drawing, marker_of

BATCHES = 20
"""Points are drawn in turns, so that no class covers another because it comes last."""
TWO_COLUMNS = 24
"""Characters of a name up to which a legend has two columns."""
PALETTE = (*COLOURS, "#8C8C8C")
"""A ninth colour: the data set that most maps are made of, NCT-CRC-HE-100K, has nine classes."""
PANEL_IN, LINE_IN = 3.3, 0.16


def draw_feature_map(
    title: str, rows: Sequence[Mapping[str, str]], facts: Mapping[str, Any], svg: Path, png: Path
) -> None:
    """Draw a map that `histossl.figures.feature_map.map_features` made, or the sentence that says why there is none.

    Args:
        title: encoder and data set.
        rows: `label`, `split`, `x` and `y` of each patch.
        facts: what is to be said of the map.
        svg: the figure.
        png: the same.
    """
    if facts["reason"]:
        draw_sentence(f"{title}: {facts['reason']}", svg, png)
        return
    panels = {"class": "label"}
    if len({row["split"] for row in rows}) > 1:
        panels["split"] = "split"
    named = [{row[column] for row in rows} for column in panels.values()]
    height = PANEL_IN + LINE_IN * max(-(-len(names) // legend_columns(names)) for names in named)
    width = PAGE_IN if len(panels) > 1 else COLUMN_IN
    with drawing(width, height, svg, png) as figure:
        sampled = f"{facts['patches']} of {facts['patches_labelled']} patches"
        figure.suptitle(textwrap.fill(f"{title} ({sampled})", 110 if len(panels) > 1 else 50), fontsize="medium")
        for axes, (name, column) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
            draw_panel(axes, rows, column)
            axes.set_title(f"by {name}: {told(facts['by'][column], facts['neighbours'])}", fontsize="small")


def draw_panel(axes: Axes, rows: Sequence[Mapping[str, str]], column: str) -> None:
    """Points in the colour and marker of what they have in `column`, with a legend below."""
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    groups = np.array([row[column] for row in rows])
    names = sorted(set(groups.tolist()))
    markers, handles = marker_of(names), []
    for number, name in enumerate(names):
        own = points[groups == name]
        for turn in range(min(BATCHES, len(own))):
            # Rasterised: thousands of marks as vectors would make the file large.
            marks = axes.scatter(
                *own[turn::BATCHES].T,
                s=7,
                c=PALETTE[number % len(PALETTE)],
                marker=markers[name],
                linewidths=0,
                alpha=0.8,
                zorder=2 + turn / BATCHES,
                rasterized=True,
            )
        handles.append(marks)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("UMAP 1")
    axes.set_ylabel("UMAP 2")
    labels = [shorten(name) for name in names]
    axes.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.08),
        ncols=legend_columns(names),
        markerscale=1.8,
        handletextpad=0.2,
    )


def legend_columns(names: Collection[str]) -> int:
    """Columns of a panel's legend."""
    return 2 if all(len(name) <= TWO_COLUMNS for name in names) else 1


def told(figures: Mapping[str, float | None], neighbours: int) -> str:
    """Silhouette and purity in words."""
    if figures["silhouette"] is None:
        return "one group"
    purity = f"purity of {neighbours} neighbours {figures['purity']:.2f} (chance {figures['chance']:.2f})"
    return f"silhouette {figures['silhouette']:.2f},\n{purity}"
