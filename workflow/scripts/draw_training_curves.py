"""Draw loss and health of one pretraining run by step."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.figures.training_curves import draw_training
from histossl.tables.pretraining import read_lines


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the curve, draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--curve", required=True, type=Path, help="training.jsonl")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)
    draw_training(arguments.encoder, read_lines(arguments.curve), arguments.svg, arguments.png)


if __name__ == "__main__":
    run(main)
