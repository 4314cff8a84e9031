"""Look through split files, CLAM's or ours, for patients on two sides.

audit_splits.py FOLDER_OR_FILE [--sheet slides.csv [--label COLUMN]] [--patients tcga|slide]

Exit code 0 where there are none, 1 where there are any, 2 where something cannot be read.
"""

import argparse
import sys
from pathlib import Path

from histossl.cli import run
from histossl.splits.audit import audit_splits
from histossl.splits.audit_input import name_patients, read_sheet, read_split_files
from histossl.splits.audit_report import report_audit

RULES = {"tcga": "first three fields of the TCGA barcode", "slide": "each slide taken for one of its own"}


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("splits", type=Path, help="folder of split files, CLAM's or results/splits/*, or one of them")
    parser.add_argument("--sheet", type=Path, help="slide sheet, or CLAM's table with slide_id and case_id (CSV)")
    parser.add_argument("--label", help="column of the sheet whose balance is shown")
    parser.add_argument("--patients", choices=RULES, help="tell patients by the slides' ids, whatever a sheet says")
    arguments = parser.parse_args(argv)
    if arguments.label and not arguments.sheet:
        parser.error("--label names a column of --sheet")

    patients, labels = read_sheet(arguments.sheet, arguments.label) if arguments.sheet else ({}, {})
    files = read_split_files(arguments.splits, patients)
    told = f"as {arguments.sheet} has them"
    if arguments.patients or not (patients or files.patients):
        rule = arguments.patients or "tcga"
        patients, told = name_patients(files.slides, rule), RULES[rule]
    elif not patients:
        patients, told = dict(files.patients), "as the file has them"
    audit = audit_splits(files, patients, labels or files.labels)
    print(report_audit(audit, f"{arguments.splits} ({files.kind})", told), end="")
    if audit.leaks:
        sys.exit(1)


if __name__ == "__main__":
    run(main, refused=2)
