"""Draw the map of an encoder's patch features, by class and by split."""

import argparse
import csv
import json
from pathlib import Path

from histossl.cli import run
from histossl.errors import UserError
from histossl.figures.feature_map_drawing import draw_feature_map


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the map, draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--points", required=True, type=Path, help="path, label, split, x and y of each patch (CSV)")
    parser.add_argument("--facts", required=True, type=Path, help="what is said of the map (JSON)")
    parser.add_argument("--svg", required=True, type=Path)
    parser.add_argument("--png", required=True, type=Path)
    arguments = parser.parse_args(argv)

    try:
        with arguments.points.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        facts = json.loads(arguments.facts.read_text(encoding="utf-8"))
        title = f"{arguments.encoder} on {arguments.dataset}"
        draw_feature_map(title, rows, facts, arguments.svg, arguments.png)
    except (LookupError, TypeError, ValueError) as error:
        files = f"{arguments.points}, {arguments.facts}"
        raise UserError(f"{files}: not a readable map of features ({error!r}); delete both and rerun") from error


if __name__ == "__main__":
    run(main)
