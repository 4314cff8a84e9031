"""List the slides that some stage had to leave out, and why."""

import argparse
from pathlib import Path

from histossl.cli import run
from histossl.cohort.left_out import COLUMNS, list_missing, missing_in_features, missing_in_shards
from histossl.cohort.run_end import missing_in_cohort
from histossl.config.sheets import read_slide_sheet
from histossl.files import write_text_whole
from histossl.tables.render import Section, csv_table, markdown


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, gather the slides, write the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet")
    parser.add_argument("--cohort", type=Path, required=True, help="cohort.csv")
    parser.add_argument("--shards", type=Path, nargs="*", default=[], help="folders of shards")
    parser.add_argument("--manifests", type=Path, nargs="*", default=[], help="folders of embed_slides' manifests")
    parser.add_argument("--batches", nargs="*", default=[], help="names of the manifests in each")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    arguments = parser.parse_args(argv)
    slides = list(read_slide_sheet(arguments.sheet))
    # A slide that no encoder is trained on has none.
    shards = (file for folder in arguments.shards for slide in slides if (file := folder / f"{slide}.h5").exists())
    manifests = (folder / f"{batch}.json" for folder in arguments.manifests for batch in arguments.batches)
    missing = list_missing(
        [missing_in_cohort(arguments.cohort), missing_in_shards(shards), missing_in_features(manifests)]
    )
    records = [dict(zip(COLUMNS, line, strict=True)) for line in missing]
    write_text_whole(arguments.csv, csv_table(records) if records else ",".join(COLUMNS) + "\n")
    sections = [Section("", COLUMNS, missing, 1)] if missing else []
    note = f"{len(missing)} of {len(slides)} slides have no patches or no features."
    write_text_whole(arguments.markdown, markdown("Slides left out", sections, [note]))
    print(note)


if __name__ == "__main__":
    run(main)
