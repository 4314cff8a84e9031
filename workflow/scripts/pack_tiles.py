"""Cut a slide's patches and pack them for training."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from histossl.cli import run
from histossl.errors import UserError
from histossl.slides.guard import iterate_apart, patches_limit_s
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.stain.fit import fit_stain
from histossl.stain.normaliser import Normaliser
from histossl.tiles.coords_file import Coords, read_coords
from histossl.tiles.sample import sample_coords
from histossl.tiles.shards import write_shard


def encode_patches(
    slide_file: Path, coords: np.ndarray, tiles: Coords, stain: Normaliser | None, jpeg_quality: int
) -> Iterator[bytes]:
    """The patches at `coords` as JPEG; 4:4:4, because the slide has been through JPEG once already."""
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    with Slide(slide_file) as slide:
        for patch in read_patches(slide, coords, tiles.patch_level0, tiles.patch_px):
            if stain:
                (patch,) = stain(patch[None])
            yield cv2.imencode(".jpg", cv2.cvtColor(patch, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, encode the patches, write the shard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="the slide")
    parser.add_argument("--coords", type=Path, required=True, help="HDF5 of `tile_slide`")
    parser.add_argument(
        "--settings", type=json.loads, required=True, help="the config's `shards` and the tiling's `stain`, JSON"
    )
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    arguments = parser.parse_args(argv)
    tiles, settings = read_coords(arguments.coords), arguments.settings
    coords = sample_coords(tiles.coords, settings["max_patches_per_slide"], settings["seed"], tiles.slide)
    stain = fit_stain(settings["stain"])
    name = stain.name if stain else "none"
    facts = tiles.slide, tiles.patch_px, tiles.spacing_um
    limit_s = patches_limit_s(len(coords))
    wanted = coords, tiles, stain, settings["jpeg_quality"]
    streams = iterate_apart(encode_patches, arguments.file, *wanted, seconds=limit_s)
    reason = tiles.reason
    try:
        write_shard(arguments.output, streams if len(coords) else [], coords, *facts, reason, name)
    except UserError as error:
        if arguments.on_bad_slide == "fail":
            raise
        coords, reason = coords[:0], str(error)
        write_shard(arguments.output, [], coords, *facts, reason, name)
        print(f"slide {tiles.slide} is left out: {reason}")
    print(f"{tiles.slide}: {len(coords)} of {len(tiles.coords)} patches packed")


if __name__ == "__main__":
    run(main)
