"""Find a slide's size, µm/px and tissue; write them and a picture to check them by."""

import argparse
import json
from pathlib import Path

import cv2

from histossl.cli import run
from histossl.errors import UserError
from histossl.files import whole_file
from histossl.slides.guard import run_apart
from histossl.slides.metadata import SlideMetadata, write_metadata
from histossl.tiles.outline import Outline, examine_slide
from histossl.tiles.overlay import draw_overlay
from histossl.tiles.tissue import TissueSettings
from histossl.tiles.tissue_file import write_tissue

LIMIT_S = 600
"""Of processor time; a slide without a pyramid has to be read whole."""


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, examine the slide, write metadata, GeoJSON and overlay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slide", required=True, help="slide id")
    parser.add_argument("--file", type=Path, required=True, help="the slide")
    parser.add_argument("--own-tissue", type=Path, help="GeoJSON or mask picture that replaces segmentation")
    parser.add_argument("--sheet-spacing-um", type=float, help="µm/px that the sheet states, which goes before")
    parser.add_argument("--assumed-spacing-um", type=float, help="µm/px where neither sheet nor slide states one")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's `tissue`, JSON")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--metadata", type=Path, required=True, help="JSON to write")
    parser.add_argument("--tissue", type=Path, required=True, help="GeoJSON to write")
    parser.add_argument("--overlay", type=Path, required=True, help="JPEG to write")
    arguments = parser.parse_args(argv)
    slide, spacings = arguments.slide, (arguments.sheet_spacing_um, arguments.assumed_spacing_um)
    wanted = slide, *spacings, TissueSettings(**arguments.settings), arguments.own_tissue
    found: Outline | None = None
    try:
        metadata, found = run_apart(examine_slide, arguments.file, *wanted, seconds=LIMIT_S)
    except UserError as error:
        metadata = SlideMetadata(slide, "excluded", str(error))
    if found is None:
        if arguments.on_bad_slide == "fail":
            raise UserError(metadata.reason)
        print(f"slide {slide} is left out: {metadata.reason}")
        found = Outline([], draw_overlay(None, []), {"area_mm2": 0.0, "reason": metadata.reason})
    write_metadata(arguments.metadata, metadata)
    write_tissue(arguments.tissue, found.polygons, {"slide": slide, **found.facts}, metadata.offset_px)
    with whole_file(arguments.overlay) as temporary:
        cv2.imwrite(str(temporary), found.overlay)


if __name__ == "__main__":
    run(main)
