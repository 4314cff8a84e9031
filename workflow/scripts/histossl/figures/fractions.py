"""A slide task against the share of training patients: a line an encoder, with intervals."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from histossl.figures.labels import legend_height_in, place_legend
from histossl.figures.results import Interval, Result, axis_label
from histossl.figures.style import PAGE_IN, colour_of, draw_sentence, drawing, marker_of

BESIDE_GAP, BESIDE_ALL = 0.6, 0.25
"""Encoders stand beside each other, so that no interval hides another, over these shares at most: of the least ratio of
two fractions, and of that of all (on a logarithmic scale)."""


def find_lines(results: Sequence[Result], task: str, head: str) -> dict[str, dict[float, Interval]]:
    """By encoder, the figure at each fraction where it is defined, fractions rising."""
    own = [result for result in results if (result.task, result.head) == (task, head) and result.figure.known]
    lines: dict[str, dict[float, Interval]] = {}
    for result in sorted(own, key=lambda result: result.fraction):
        lines.setdefault(result.encoder, {})[result.fraction] = result.figure
    order = [result.encoder for result in results]
    return {name: lines[name] for name in dict.fromkeys(order) if name in lines}


def draw_fractions(results: Sequence[Result], task: str, head: str, level: float, svg: Path, png: Path) -> None:
    """Draw one head on one slide task.

    Args:
        results: of the slide tasks.
        task: whose.
        head: with which.
        level: of the intervals.
        svg: the figure.
        png: the same.
    """
    lines = find_lines(results, task, head)
    fractions = sorted({fraction for line in lines.values() for fraction in line})
    if len(fractions) < 2:
        found = f"{fractions[0]:.0%} of the training patients alone" if fractions else "no share of training patients"
        draw_sentence(f"{task}, {head}: no curve, since there are figures for {found}.", svg, png)
        return
    names = list(lines)
    colours, markers = colour_of(names), marker_of(names)
    gaps = np.diff(np.log(fractions))
    width = min(BESIDE_GAP * gaps.min(), BESIDE_ALL * gaps.sum())
    places = width * ((np.arange(len(names)) + 0.5) / len(names) - 0.5)
    with drawing(PAGE_IN, 3.0 + legend_height_in(PAGE_IN, names), svg, png) as figure:
        axes = figure.subplots()
        drawn = []
        for name, place in zip(names, places, strict=True):
            line = lines[name]
            arms = np.array([interval.arms for interval in line.values()]).T
            drawn.append(
                axes.errorbar(
                    np.array(list(line)) * np.exp(place),
                    [interval.value for interval in line.values()],
                    yerr=arms,
                    color=colours[name],
                    marker=markers[name],
                    capsize=2,
                    elinewidth=0.8,
                )
            )
        axes.set_xscale("log")
        axes.set_xticks(fractions, [f"{100 * fraction:g}%" for fraction in fractions])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("share of the training patients")
        axes.set_ylabel(f"{axis_label('slide')}, {100 * level:g}% interval")
        axes.set_title(textwrap.fill(f"{task}, {head}", 100))
        place_legend(figure, drawn, names)
