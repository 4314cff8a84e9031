"""Draw a head on a slide task against the share of training patients, a line an encoder."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.figures.fractions import draw_fractions
from histossl.figures.results import read_results


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the table, draw the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, type=Path, help="tables/slide.csv")
    parser.add_argument("--task", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--level", required=True, type=float, help="of the intervals")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)
    results = read_results(arguments.table, "slide")
    draw_fractions(results, arguments.task, arguments.model, arguments.level, arguments.svg, arguments.png)


if __name__ == "__main__":
    run(main)
