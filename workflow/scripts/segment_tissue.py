"""Find the tissue of a slide; write its outlines and a picture to check them by."""

import argparse
import json
from pathlib import Path

import cv2

from histossl.cli import run
from histossl.errors import UserError
from histossl.files import whole_file
from histossl.slides.guard import run_apart
from histossl.slides.metadata import read_metadata
from histossl.tiles.outline import Outline, outline_tissue
from histossl.tiles.overlay import draw_overlay
from histossl.tiles.tissue import TissueSettings
from histossl.tiles.tissue_file import write_tissue

LIMIT_S = 600
"""Of processor time; a slide without a pyramid has to be read whole."""


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, segment, write the GeoJSON and the overlay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="the slide")
    parser.add_argument("--metadata", type=Path, required=True, help="its metadata.json")
    parser.add_argument("--own-tissue", type=Path, nargs="?", help="GeoJSON or mask picture that replaces segmentation")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's `tissue`, JSON")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--output", type=Path, required=True, help="GeoJSON")
    parser.add_argument("--overlay", type=Path, required=True, help="JPEG")
    arguments = parser.parse_args(argv)
    metadata = read_metadata(arguments.metadata)
    settings = TissueSettings(**arguments.settings)
    found = Outline([], draw_overlay(None, []), {"area_mm2": 0.0, "reason": metadata.reason})
    if metadata.status == "ok":
        try:
            found = run_apart(outline_tissue, arguments.file, metadata, settings, arguments.own_tissue, seconds=LIMIT_S)
        except UserError as error:
            if arguments.on_bad_slide == "fail":
                raise
            found.facts.update(damaged=True, reason=str(error))
            print(f"slide {metadata.slide} is left out: {error}")
    write_tissue(arguments.output, found.polygons, {"slide": metadata.slide, **found.facts})
    with whole_file(arguments.overlay) as temporary:
        cv2.imwrite(str(temporary), found.overlay)


if __name__ == "__main__":
    run(main)
