"""Cut a slide's patches and pack them for training."""

import argparse
import json
from pathlib import Path

import cv2

from histossl.cli import run
from histossl.errors import UserError
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.tiles.coords_file import read_coords
from histossl.tiles.sample import sample_coords
from histossl.tiles.shards import write_shard


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, encode the patches, write the shard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="the slide")
    parser.add_argument("--coords", type=Path, required=True, help="HDF5 of `tile_slide`")
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's `shards`, JSON")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    arguments = parser.parse_args(argv)
    tiles = read_coords(arguments.coords)
    settings = arguments.settings
    coords = sample_coords(tiles.coords, settings["max_patches_per_slide"], settings["seed"], tiles.slide)
    streams: list[bytes] = []
    if len(coords):
        # 4:4:4 and a high quality: the slide has been through JPEG once already.
        options = [cv2.IMWRITE_JPEG_QUALITY, settings["jpeg_quality"]]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        try:
            with Slide(arguments.file) as slide:
                for patch in read_patches(slide, coords, tiles.patch_level0, tiles.patch_px):
                    _, stream = cv2.imencode(".jpg", cv2.cvtColor(patch, cv2.COLOR_RGB2BGR), options)
                    streams.append(stream.tobytes())
        except UserError as error:
            if arguments.on_bad_slide == "fail":
                raise
            streams, coords = [], coords[:0]
            print(f"slide {tiles.slide} is left out: {error}")
    write_shard(arguments.output, streams, coords, tiles.slide, tiles.patch_px, tiles.spacing_um)
    print(f"{tiles.slide}: {len(streams)} of {len(tiles.coords)} patches packed")


if __name__ == "__main__":
    run(main)
