"""Place the patches of one slide on its tissue."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.errors import UserError
from histossl.slides.guard import patches_limit_s, run_apart
from histossl.slides.metadata import read_metadata
from histossl.tiles.coords_file import Tiling, write_coords
from histossl.tiles.placing import Placed, drop_patches, place_patches
from histossl.tiles.quality import QualitySettings, judge_patches
from histossl.tiles.tissue_file import read_tissue


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, place and judge the patches, write the coordinates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, nargs="?", help="the slide; needed where the tiling judges quality")
    parser.add_argument("--tissue", type=Path, required=True, help="GeoJSON of the tissue")
    parser.add_argument("--metadata", type=Path, required=True, help="metadata.json of the slide")
    parser.add_argument("--settings", type=json.loads, required=True, help="one of the config's `tilings`, JSON")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], default="exclude")
    parser.add_argument("--threads", type=int, default=1, help="that read and judge patches")
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    arguments = parser.parse_args(argv)
    metadata = read_metadata(arguments.metadata)
    polygons, facts = read_tissue(arguments.tissue)
    tiling = Tiling(**arguments.settings)
    placed = place_patches(polygons, facts, metadata, tiling)
    if tiling.quality is not None and len(placed.coords):
        if arguments.file is None:
            parser.error("--file is needed where the tiling judges quality")
        settings = QualitySettings(**tiling.quality)
        side = tiling.patch_px * tiling.spacing_um / metadata.spacing_um
        wanted = placed.coords, side, tiling.patch_px, tiling.spacing_um, settings, arguments.threads
        limit_s = patches_limit_s(len(placed.coords))
        try:
            verdicts = run_apart(judge_patches, arguments.file, *wanted, seconds=limit_s)
            placed = drop_patches(placed, verdicts, settings.reasons)
        except UserError as error:
            if arguments.on_bad_slide == "fail":
                raise
            placed = Placed(placed.coords[:0], placed.fractions[:0], str(error))
            print(f"slide {metadata.slide} is left out: {error}")
    write_coords(
        arguments.output, placed.coords, placed.fractions, tiling, metadata, placed.reason, dropped=placed.dropped
    )
    notes = [f"{count} dropped: {name}" for name, count in placed.dropped.items() if count] + [placed.reason]
    said = "; ".join(note for note in notes if note)
    print(f"{metadata.slide}: {len(placed.coords)} patches" + (f" ({said})" if said else ""))


if __name__ == "__main__":
    run(main)
