"""One table of all training runs: what was trained on what, how it ended, and whether it was healthy."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.tables.pretraining import CAPTION, read_lines, summarise_training
from histossl.tables.render import write_table


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, gather one row an encoder, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", nargs="+", required=True, help="names, in the order of the rows")
    parser.add_argument("--cards", type=Path, nargs="+", required=True, help="encoder.json of each")
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help="training.jsonl of each")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--latex", type=Path, required=True)
    arguments = parser.parse_args(argv)
    rows = [
        summarise_training(name, json.loads(card.read_text(encoding="utf-8")), read_lines(curve))
        for name, card, curve in zip(arguments.encoders, arguments.cards, arguments.curves, strict=True)
    ]
    write_table(rows, CAPTION, arguments.csv, arguments.markdown, arguments.latex)


if __name__ == "__main__":
    run(main)
