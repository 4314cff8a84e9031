"""Find a slide's size and µm/px, and whether it can be used."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.errors import UserError
from histossl.slides.guard import run_apart
from histossl.slides.metadata import SlideMetadata, inspect_slide, write_metadata

LIMIT_S = 20
"""Of processor time; a sound slide takes a fraction of a second."""


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and write `metadata.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slide", required=True, help="slide id")
    parser.add_argument("--file", type=Path, required=True, help="the slide")
    parser.add_argument(
        "--settings",
        type=json.loads,
        required=True,
        help="JSON: sheet_spacing_um and assumed_spacing_um (µm/px or null), on_bad_slide (exclude or fail)",
    )
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    spacings = settings["sheet_spacing_um"], settings["assumed_spacing_um"]
    try:
        metadata = run_apart(
            lambda file: inspect_slide(arguments.slide, file, *spacings), arguments.file, seconds=LIMIT_S
        )
    except UserError as error:
        metadata = SlideMetadata(arguments.slide, "excluded", str(error))
    if metadata.status != "ok":
        if settings["on_bad_slide"] == "fail":
            raise UserError(metadata.reason)
        print(f"slide {arguments.slide} is left out: {metadata.reason}")
    write_metadata(arguments.output, metadata)


if __name__ == "__main__":
    run(main)
