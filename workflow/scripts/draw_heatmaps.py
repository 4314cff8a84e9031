"""Heatmaps of the attention of one head: figures, GeoJSON for QuPath, pyramidal TIFF for OpenSlide."""

import argparse
import json
import sys
from pathlib import Path

import cv2

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.heatmaps.attention import list_tested
from histossl.heatmaps.choose import Judged, choose_slides, read_judged
from histossl.heatmaps.outputs import HeatmapFiles, NoHeatmap, write_heatmap


def main(argv: list[str] | None = None) -> None:
    """Choose slides by their predictions and draw them; what can't be drawn becomes a sentence in its place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", required=True, help="task, encoder and model, for titles")
    parser.add_argument("--predictions", type=Path, required=True, help="out-of-fold predictions (CSV)")
    parser.add_argument("--attention", type=Path, required=True, help="out-of-fold attention (HDF5)")
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet, which says where slides are")
    parser.add_argument("--slides", type=Path, required=True, help="folder of the slides' metadata")
    parser.add_argument("--tiles", type=Path, required=True, help="folder of the tiling's coordinates")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: slides, spacing_um, patches")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--exports", type=Path, required=True, help="folder of the files for QuPath and OpenSlide")
    arguments = parser.parse_args(argv)

    cv2.setNumThreads(1)
    settings, rows = arguments.settings, read_slide_sheet(arguments.sheet)
    seed, tested = list_tested(arguments.attention)
    judged, classes = read_judged(arguments.predictions, seed, tested)
    for slot, chosen in choose_slides(judged, classes, tested, settings["slides"]).items():
        files = HeatmapFiles(arguments.figures, arguments.exports, slot)
        try:
            if not isinstance(chosen, Judged):
                raise NoHeatmap(f"{arguments.head}: {chosen}")
            write_heatmap(
                files,
                chosen,
                arguments.head,
                arguments.attention,
                Path(rows[chosen.slide].path),
                arguments.slides / chosen.slide / "metadata.json",
                arguments.tiles / f"{chosen.slide}.h5",
                settings["spacing_um"],
                settings["patches"],
            )
        except NoHeatmap as error:
            print(f"{slot}: {error}", file=sys.stderr)
            files.write_sentence(str(error))


if __name__ == "__main__":
    run(main)
