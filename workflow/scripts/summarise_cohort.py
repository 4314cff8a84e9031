"""One table of the whole cohort: size, scale and its source, tissue, patches, and why a slide has none."""

import argparse
from collections import Counter
from pathlib import Path

from histossl.cli import run
from histossl.cohort.summary import summarise_slide
from histossl.config.sheets import read_slide_sheet
from histossl.tables.render import write_table


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, gather one row a slide, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet, which gives the order")
    parser.add_argument("--slides", type=Path, required=True, help="folder of metadata and tissue")
    parser.add_argument("--tiles", type=Path, required=True, help="folder of coordinates")
    parser.add_argument("--tilings", nargs="+", required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--latex", type=Path, required=True)
    arguments = parser.parse_args(argv)
    tiles = {tiling: arguments.tiles / tiling for tiling in arguments.tilings}
    rows = [
        summarise_slide(slide, line.patient, arguments.slides, tiles)
        for slide, line in read_slide_sheet(arguments.sheet).items()
    ]
    counted = ", ".join(f"{count} {status}" for status, count in Counter(row["status"] for row in rows).items())
    caption = f"{len(rows)} slides: {counted}."
    write_table(rows, caption, arguments.csv, arguments.markdown, arguments.latex)
    print(caption)


if __name__ == "__main__":
    run(main)
