"""One page of what the results were made with: runs, machines, seeds, packages, configuration."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.files import write_text_whole
from histossl.report.page import html_page
from histossl.report.runs import NOTES, read_records, run_sections


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and the records, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True, help="folder of the records that each run writes")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the jobs' logs")
    parser.add_argument("--output", type=Path, required=True, help="the page (.html)")
    arguments = parser.parse_args(argv)
    sections = run_sections(read_records(arguments.records), arguments.logs)
    notes = NOTES if sections else ["No run has left a record: Snakemake was started with --no-hooks."]
    write_text_whole(arguments.output, html_page("The runs", sections, notes))


if __name__ == "__main__":
    run(main)
