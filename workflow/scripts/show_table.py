"""Make of a table one page whose columns can be sorted: as printed, its notes, and what else its CSVs hold."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.files import write_text_whole
from histossl.report.page import html_page
from histossl.report.read_tables import read_csv, read_markdown


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", type=Path, required=True, help="the table as printed")
    parser.add_argument("--csv", type=Path, nargs="+", required=True, help="its CSV, and that of pairs")
    parser.add_argument("--output", type=Path, required=True, help="the page (.html)")
    arguments = parser.parse_args(argv)
    printed = read_markdown(arguments.markdown)
    shown = [list(section.columns) for section in printed.sections]
    further = [table for table in map(read_csv, arguments.csv) if list(table.columns) not in shown]
    write_text_whole(arguments.output, html_page(printed.title, printed.sections, printed.notes, further))


if __name__ == "__main__":
    run(main)
