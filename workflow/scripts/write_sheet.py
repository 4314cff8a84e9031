"""Write the slide sheet from a folder of slides and a table of labels, and say what could not be matched."""

import argparse
import itertools
import os
from pathlib import Path

from histossl.cli import run
from histossl.cohort.barcodes import compile_pattern
from histossl.cohort.examine import examine_slides
from histossl.cohort.find_slides import find_slides
from histossl.cohort.labels import read_labels
from histossl.cohort.report import summarise
from histossl.cohort.sheet import build_sheet, read_old_sheet, write_sheet
from histossl.errors import UserError


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, look for slides, open each, write the sheet, print the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=Path, required=True, help="folder to search, with all below it")
    parser.add_argument("--labels", type=Path, help="CSV or TSV with a column slide or patient")
    parser.add_argument("--columns", nargs="+", help="label columns to take; all if left out")
    parser.add_argument(
        "--pattern", help="regular expression for paths, with groups named patient and (if wanted) site"
    )
    parser.add_argument("--output", type=Path, default=Path("slides.csv"), help="the sheet (slides.csv)")
    parser.add_argument("--relative-to", type=Path, help="write paths relative to this folder, Snakemake's --directory")
    parser.add_argument("--pictures", action="store_true", help="take PNG, JPEG and BMP files beside slides as slides")
    parser.add_argument("--processes", type=int, default=min(8, os.cpu_count() or 1), help="slides opened at once")
    exists = parser.add_mutually_exclusive_group()
    exists.add_argument("--update", action="store_true", help="keep what the existing sheet says, add what is new")
    exists.add_argument("--force", action="store_true", help="start afresh; the existing sheet is kept as *.bak")
    arguments = parser.parse_args(argv)
    output = arguments.output
    if output.exists() and not (arguments.update or arguments.force):
        raise UserError(f"{output}: is there already; give --update to keep its values, or --force to start afresh")
    pattern = compile_pattern(arguments.pattern) if arguments.pattern else None
    table = read_labels(arguments.labels, arguments.columns) if arguments.labels else None
    old = read_old_sheet(output, arguments.relative_to) if arguments.update and output.exists() else None
    search = find_slides(arguments.slides, arguments.pictures)
    found = examine_slides(search.slides, max(1, arguments.processes))
    sheet = build_sheet(found, arguments.slides, arguments.relative_to, pattern, table, old)
    if not sheet.rows:
        reason = f" ({sheet.left_out[0]})" if sheet.left_out else ""
        raise UserError(f"{arguments.slides}: holds no slide that can be listed{reason}; correct --slides")
    if output.exists():
        names = (output.with_name(f"{output.name}.bak{number or ''}") for number in itertools.count())
        backup = next(name for name in names if not name.exists())
        backup.write_bytes(output.read_bytes())
        print(f"the sheet so far is kept as {backup}")
    write_sheet(output, sheet)
    print("\n".join([*summarise(sheet, search, table), f"written: {output}"]))


if __name__ == "__main__":
    run(main)
