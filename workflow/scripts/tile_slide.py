"""Place the patches of one slide on its tissue."""

import argparse
import json
from pathlib import Path

import numpy as np

from histossl.cli import run
from histossl.slides.metadata import read_metadata
from histossl.tiles.coords_file import Tiling, write_coords
from histossl.tiles.grid import place_grid
from histossl.tiles.tissue_file import rasterise, read_tissue

MASK_SPACING_UM = 4.0
"""Fine enough that a patch's tissue fraction is exact to a few percent, small enough for any slide."""


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and write the coordinates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tissue", type=Path, required=True, help="GeoJSON of the tissue")
    parser.add_argument("--metadata", type=Path, required=True, help="metadata.json of the slide")
    parser.add_argument("--settings", type=json.loads, required=True, help="one of the config's `tilings`, JSON")
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    arguments = parser.parse_args(argv)
    metadata = read_metadata(arguments.metadata)
    polygons, facts = read_tissue(arguments.tissue)
    tiling = Tiling(**arguments.settings)
    coords, fractions, reason = np.zeros((0, 2), np.int64), np.zeros(0, np.float32), facts.get("reason", "")
    if metadata.status == "ok" and metadata.spacing_um > tiling.spacing_um * 1.01:
        reason = f"scanned at {metadata.spacing_um:g} µm/px, coarser than the {tiling.spacing_um:g} asked for"
    elif polygons:
        ratio = tiling.spacing_um / metadata.spacing_um
        scale = max(1.0, MASK_SPACING_UM / metadata.spacing_um)
        mask_px = tuple(max(1, round(length / scale)) for length in (metadata.width_px, metadata.height_px))
        coords, fractions = place_grid(
            rasterise(polygons, mask_px, scale),
            (metadata.width_px, metadata.height_px),
            patch_level0=tiling.patch_px * ratio,
            step_level0=(tiling.patch_px - tiling.overlap_px) * ratio,
            min_tissue=tiling.min_tissue,
        )
        reason = "" if len(coords) else f"no patch holds {tiling.min_tissue:.0%} tissue"
    write_coords(arguments.output, coords, fractions, tiling, metadata, reason)
    print(f"{metadata.slide}: {len(coords)} patches" + (f" ({reason})" if reason else ""))


if __name__ == "__main__":
    run(main)
