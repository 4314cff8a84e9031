"""Draw the encoders of a task with their intervals, and their differences to the control."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.figures.forest import draw_forest
from histossl.figures.results import read_results
from histossl.tables.kinds import KINDS


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, type=Path, help="tables/{kind}.csv")
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--task", required=True)
    parser.add_argument("--level", required=True, type=float, help="of the intervals")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)
    results = read_results(arguments.table, arguments.kind)
    draw_forest(results, arguments.kind, arguments.task, arguments.level, arguments.svg, arguments.png)


if __name__ == "__main__":
    run(main)
