"""Cost against quality: what encoders reach on a task, against hours of pretraining, images/s and parameters."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from histossl.figures.cost import Cost
from histossl.figures.labels import legend_height_in, place_legend
from histossl.figures.results import Result, axis_label, heads_of, of_task
from histossl.figures.style import PAGE_IN, colour_of, draw_sentence, drawing, marker_of

HOURS = {
    frozenset({"cuda"}): "GPU hours",
    frozenset({"cpu"}): "hours on the CPU",
    frozenset({"cuda", "cpu"}): "GPU hours, or hours on the CPU",
}
MILLION, DECADE = 1e6, 10


def find_panels(costs: Mapping[str, Cost], encoders: Sequence[str]) -> dict[str, dict[str, float]]:
    """By label of the axis, what each encoder costs; encoders of which that is not known are left out."""
    known = [costs[name] for name in encoders if name in costs]
    devices = frozenset(cost.device for cost in known if cost.hours and cost.device)
    panels = {
        f"pretraining here, {HOURS.get(devices, 'hours')}": {cost.encoder: cost.hours for cost in known if cost.hours},
        "images/s embedded": {cost.encoder: cost.images_per_s for cost in known if cost.images_per_s},
        "parameters, millions": {cost.encoder: cost.parameters / MILLION for cost in known if cost.parameters},
    }
    return {label: values for label, values in panels.items() if values}


def draw_cost(
    results: Sequence[Result], costs: Mapping[str, Cost], kind: str, task: str, level: float, svg: Path, png: Path
) -> None:
    """Draw what the first head of a task reaches against each kind of cost.

    Args:
        results: of the table.
        costs: by encoder.
        kind: of the table.
        task: whose figure.
        level: of the intervals.
        svg: the figure.
        png: the same.
    """
    own = of_task(results, task)
    own = [result for result in own if result.figure.known and result.head == heads_of(own)[0]]
    names = [result.encoder for result in own]
    panels = find_panels(costs, names)
    if not panels:
        draw_sentence(
            f"{task}: no cost against quality, since no encoder has both {axis_label(kind)} and a known cost.", svg, png
        )
        return
    colours, markers = colour_of(names), marker_of(names)
    with drawing(PAGE_IN, 2.5 + legend_height_in(PAGE_IN, names), svg, png) as figure:
        figure.suptitle(f"{task}, {own[0].head}, {100 * level:g}% intervals", fontsize="medium")
        marks: dict[str, ErrorbarContainer] = {}
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (label, values) in zip(grid, panels.items(), strict=True):
            scale_costs(axes, values.values())
            for result in own:
                if result.encoder in values:
                    name, interval = result.encoder, result.figure
                    style = {"color": colours[name], "marker": markers[name], "linestyle": "", "elinewidth": 0.7}
                    arms = np.array(interval.arms).reshape(2, 1)
                    marks[name] = axes.errorbar(values[name], interval.value, yerr=arms, **style)
            axes.set_xlabel(label)
        grid[0].set_ylabel(axis_label(kind))
        place_legend(
            figure, [marks[name] for name in names if name in marks], [name for name in names if name in marks]
        )


def scale_costs(axes: Axes, values: Collection[float]) -> None:
    """A logarithmic axis where costs reach over a decade, else one from 0."""
    if max(values) < DECADE * min(values):
        axes.set_xlim(0, 1.15 * max(values))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        return
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
