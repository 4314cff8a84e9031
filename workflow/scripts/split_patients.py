"""Split the patients of a task into cross-validation folds, with validation and nested training fractions."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.splits.folds import draw_splits
from histossl.splits.labels import check_labels
from histossl.splits.split_file import write_splits


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, draw the splits, write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="slide sheet (CSV)")
    parser.add_argument("--settings", type=json.loads, required=True, help="the task's split settings as JSON")
    parser.add_argument("--output", type=Path, required=True, help="splits (CSV)")
    arguments = parser.parse_args(argv)
    settings = arguments.settings

    rows = [row.columns for row in read_slide_sheet(arguments.sheet).values()]
    slides = check_labels(rows, settings["label"], settings["folds"], arguments.sheet, settings["classes"])
    members = draw_splits(slides, settings["folds"], settings["fractions"], settings["validation"], settings["seed"])
    write_splits(arguments.output, members)

    counts = ", ".join(f"{count} {label}" for label, count in sorted(Counter(s.label for s in slides).items()))
    left_out = len(rows) - len(slides)
    print(
        f"{len(slides)} slides of {len({s.patient for s in slides})} patients ({counts}) in {settings['folds']} folds; "
        f"{left_out} left out for want of a label",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run(main)
