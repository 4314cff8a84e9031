"""Split the patients of a task into folds, or take the folds from split files, at one training fraction."""

import argparse
import json
import sys
from pathlib import Path

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.splits.folds import draw_splits
from histossl.splits.imported import import_splits
from histossl.splits.labels import check_labels, patient_sites, takes_part
from histossl.splits.notes import describe_import, describe_splits
from histossl.splits.split_file import write_splits


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, draw or import the splits, write them, and say what a reader of the tables should know."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="slide sheet (CSV)")
    parser.add_argument("--settings", type=json.loads, required=True, help="the task's split settings as JSON")
    parser.add_argument("--output", type=Path, required=True, help="splits (CSV)")
    arguments = parser.parse_args(argv)
    sheet, settings = arguments.sheet, arguments.settings
    site, files, folds = settings["site"], settings["split_files"], settings["folds"]
    fraction, seed = settings["fraction"], settings["seed"]

    rows = [row.columns for row in read_slide_sheet(sheet).values()]
    slides = check_labels(rows, settings["label"], None if site or files else folds, sheet, settings["classes"])
    notes = []
    if files:
        folder, policy = files["folder"], files["on_shared_patients"]
        imported = import_splits(Path(folder), slides, fraction, policy, seed)
        members, notes = imported.members, describe_import(imported, folder, policy)
    else:
        sites = patient_sites(slides, rows, site, sheet) if site else None
        members = draw_splits(slides, folds, fraction, settings["validation"], seed, settings["repeats"], sites)
    write_splits(arguments.output, members)
    unlabelled = sum(not takes_part(row[settings["label"]], None) for row in rows)
    notes = [*describe_splits(slides, members, unlabelled, len(rows) - len(slides) - unlabelled), *notes]
    print(*notes, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    run(main)
