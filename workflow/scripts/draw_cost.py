"""Draw what encoders reach on a task against hours of pretraining, images/s and parameters."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.figures.cost import read_costs
from histossl.figures.cost_drawing import draw_cost
from histossl.figures.results import read_results
from histossl.tables.kinds import KINDS


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, the table and the costs, draw the panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, type=Path, help="tables/{kind}.csv")
    parser.add_argument("--costs", required=True, type=Path, help="what encoders cost (CSV)")
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--task", required=True)
    parser.add_argument("--level", required=True, type=float, help="of the intervals")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)
    results, costs = read_results(arguments.table, arguments.kind), read_costs(arguments.costs)
    draw_cost(results, costs, arguments.kind, arguments.task, arguments.level, arguments.svg, arguments.png)


if __name__ == "__main__":
    run(main)
