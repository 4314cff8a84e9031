"""Find the tissue of a slide; write its outlines and a picture to check them by."""

import argparse
import json
from pathlib import Path

import cv2

from histossl.cli import run
from histossl.errors import UserError
from histossl.files import whole_file
from histossl.slides.metadata import read_metadata
from histossl.slides.reader import Slide
from histossl.tiles.overlay import draw_overlay
from histossl.tiles.tissue import TissueSettings, segment_tissue
from histossl.tiles.tissue_file import trace_polygons, write_tissue


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, segment, write the GeoJSON and the overlay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="the slide")
    parser.add_argument("--metadata", type=Path, required=True, help="its metadata.json")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's `tissue`, JSON")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--output", type=Path, required=True, help="GeoJSON")
    parser.add_argument("--overlay", type=Path, required=True, help="JPEG")
    arguments = parser.parse_args(argv)
    metadata = read_metadata(arguments.metadata)
    settings = TissueSettings(**arguments.settings)
    picture, polygons, scale = None, [], 1.0
    facts = {"slide": metadata.slide, "area_mm2": 0.0, "reason": metadata.reason}
    if metadata.status == "ok":
        try:
            with Slide(arguments.file) as slide:
                picture = slide.thumbnail(settings.spacing_um, metadata.spacing_um)
        except UserError as error:
            if arguments.on_bad_slide == "fail":
                raise
            facts["reason"] = str(error)
            print(f"slide {metadata.slide} is left out: {error}")
    if picture is not None:
        tissue = segment_tissue(picture, settings)
        scale = metadata.width_px / picture.shape[1]
        polygons = trace_polygons(tissue.mask, scale)
        px_mm2 = (scale * metadata.spacing_um / 1000) ** 2
        facts |= {
            "area_mm2": round(float(tissue.mask.sum()) * px_mm2, 4),
            "pen_mm2": round(float(tissue.pen.sum()) * px_mm2, 4),
            "threshold": tissue.threshold,
            "relaxed": tissue.relaxed,
            "reason": "" if polygons else "no tissue found",
        }
    write_tissue(arguments.output, polygons, facts)
    with whole_file(arguments.overlay) as temporary:
        cv2.imwrite(str(temporary), draw_overlay(picture, polygons, scale))


if __name__ == "__main__":
    run(main)
