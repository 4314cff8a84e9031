"""Draw one whole slide of the demo cohort, and the truth about it."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from histossl.cli import run
from histossl.files import whole_file
from histossl.phantom.pyramid import write_pyramid
from histossl.phantom.section import CLASSES, CODE
from histossl.phantom.slide import TRUTH_DOWNSAMPLE, draw_slide, read_specification


def main(argv: list[str] | None = None) -> None:
    """Draw the slide that one line of the specification asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specification", type=Path, required=True, help="table with one line a slide (phantom.csv)")
    parser.add_argument("--slide", required=True, help="id of the slide to draw")
    parser.add_argument(
        "--settings", type=json.loads, required=True, help="JSON: seed, width_px, height_px, spacing_um"
    )
    parser.add_argument("--slide-file", type=Path, required=True, help="whole slide to write (.svs)")
    parser.add_argument("--truth", type=Path, required=True, help="truth to write (.npz)")
    arguments = parser.parse_args(argv)

    cv2.setNumThreads(1)
    specification = read_specification(arguments.specification, arguments.slide)
    settings = arguments.settings
    drawn = draw_slide(
        specification, settings["seed"], settings["width_px"], settings["height_px"], settings["spacing_um"]
    )
    with whole_file(arguments.truth) as temporary:
        np.savez_compressed(
            temporary,
            regions=drawn.regions,
            classes=np.array(CLASSES),
            tissue=drawn.regions != CODE["background"],
            pen=drawn.pen,
            tumour_cells=drawn.tumour_cells,
            downsample=TRUTH_DOWNSAMPLE,
            spacing_um=settings["spacing_um"],
        )
    with whole_file(arguments.slide_file) as temporary:
        write_pyramid(temporary, drawn.image, settings["spacing_um"] if specification.spacing_stated else None)


if __name__ == "__main__":
    run(main)
