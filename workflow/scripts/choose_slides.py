"""List the slides that an encoder is trained on: all, but for those of patients whom the named tasks test on."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.config.training_slides import choose_slides
from histossl.files import write_text_whole


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, read the sheet, write one slide a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="slide sheet")
    parser.add_argument("--tested", type=json.loads, required=True, help="JSON; see histossl.config.training_slides")
    parser.add_argument("--output", type=Path, required=True, help="slide ids, one a line")
    arguments = parser.parse_args(argv)
    chosen = choose_slides(read_slide_sheet(arguments.sheet), arguments.tested)
    write_text_whole(arguments.output, "".join(f"{slide}\n" for slide in chosen))


if __name__ == "__main__":
    run(main)
