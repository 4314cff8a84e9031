"""Contact sheets of all slides with their tissue and the patches of one tiling."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from histossl.cli import run
from histossl.cohort.contact_sheet import COLUMNS, ROWS, compose_page, draw_cell
from histossl.config.sheets import read_slide_sheet
from histossl.files import whole_file
from histossl.progress import Progress
from histossl.slides.metadata import read_metadata
from histossl.tiles.coords_file import read_coords


def draw_slide(slide: str, folder: Path, tiles: Path) -> np.ndarray:
    """The cell of one slide."""
    metadata = read_metadata(folder / slide / "metadata.json")
    found = read_coords(tiles / f"{slide}.h5")
    overlay = cv2.imread(str(folder / slide / "overlay.jpg"))
    said = f"{len(found.coords)} patches, {metadata.spacing_um:.4g} µm/px ({metadata.spacing_source})"
    return draw_cell(overlay, metadata.width_px, found.coords, found.patch_level0, [slide, found.reason or said])


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and write one page after the other: memory does not grow with the cohort."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet, which gives the order")
    parser.add_argument("--slides", type=Path, required=True, help="folder of metadata and overlays")
    parser.add_argument("--tiles", type=Path, required=True, help="folder of the tiling's coordinates")
    parser.add_argument("--output", type=Path, required=True, help="folder of the pages")
    arguments = parser.parse_args(argv)
    slides = list(read_slide_sheet(arguments.sheet))
    progress = Progress("draw_cohort", len(slides), "slides")
    a_page = COLUMNS * ROWS
    for number, start in enumerate(range(0, len(slides), a_page), start=1):
        some = slides[start : start + a_page]
        page = compose_page([draw_slide(slide, arguments.slides, arguments.tiles) for slide in some])
        with whole_file(arguments.output / f"page_{number:03d}.jpg") as temporary:
            cv2.imwrite(str(temporary), page, [cv2.IMWRITE_JPEG_QUALITY, 90])
        progress.advance(len(some))


if __name__ == "__main__":
    run(main)
