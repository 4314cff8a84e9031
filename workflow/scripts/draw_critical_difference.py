"""Draw the mean ranks of the encoders over all tasks, with Nemenyi's critical distance."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.figures.critical_difference import draw_critical_difference
from histossl.figures.results import read_results
from histossl.tables.kinds import KINDS


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the tables, draw the diagram."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", required=True, nargs="+", type=Path, help="tables/{kind}.csv of each kind")
    parser.add_argument(
        "--kinds", required=True, nargs="+", choices=KINDS, help="of each; the first that has a task counts"
    )
    parser.add_argument("--level", required=True, type=float, help="0.95 tells encoders apart at 5%%")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)
    named = zip(arguments.kinds, arguments.tables, strict=True)
    tables = {kind: read_results(table, kind) for kind, table in named}
    draw_critical_difference(tables, arguments.level, arguments.svg, arguments.png)


if __name__ == "__main__":
    run(main)
