"""Draw the health of all pretraining runs beside each other, against the images that they have seen."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.errors import UserError
from histossl.figures.training_curves import draw_comparison
from histossl.tables.pretraining import read_lines


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, the cards and the curves, draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", nargs="+", required=True, help="names")
    parser.add_argument("--cards", type=Path, nargs="+", required=True, help="encoder.json of each")
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help="training.jsonl of each")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)

    curves = dict(zip(arguments.encoders, map(read_lines, arguments.curves), strict=True))
    batches = dict(zip(arguments.encoders, map(read_batch, arguments.cards), strict=True))
    draw_comparison(curves, batches, arguments.svg, arguments.png)


def read_batch(card: Path) -> int:
    """How many patches a step of the training saw.

    Raises:
        UserError: the card is damaged.
    """
    try:
        return int(json.loads(card.read_text(encoding="utf-8"))["training"]["batch"])
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"{card}: not the card of a trained encoder ({error!r}); delete it and rerun") from error


if __name__ == "__main__":
    run(main)
