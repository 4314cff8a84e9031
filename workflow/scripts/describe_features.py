"""Write the card of an encoder whose features were made elsewhere."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.config.feature_files import find_feature_files
from histossl.config.sheets import read_slide_sheet
from histossl.features.foreign_features import describe_features
from histossl.files import write_text_whole


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, look at the feature files, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the feature files are")
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet")
    parser.add_argument("--card", type=Path, required=True, help="encoder.json to write")
    arguments = parser.parse_args(argv)
    slides = {row.slide: row.path for row in read_slide_sheet(arguments.sheet).values()}
    card = describe_features(find_feature_files(arguments.folder, slides).values())
    text = json.dumps({**card, "folder": str(arguments.folder)}, indent=1, ensure_ascii=False)
    write_text_whole(arguments.card, text + "\n")


if __name__ == "__main__":
    run(main)
