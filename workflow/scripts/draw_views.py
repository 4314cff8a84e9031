"""Contact sheet of what a network is shown: a few patches and the views that the first epoch makes of them."""

import argparse
import json
import sys
from pathlib import Path

import cv2

from histossl.cli import run
from histossl.files import whole_file
from histossl.ssl.batches import PatchViews
from histossl.ssl.settings import read_augmentation
from histossl.ssl.view_sheet import choose_patches, compose_sheet
from histossl.ssl.views import draw_views
from histossl.ssl.views_opencv import make_views
from histossl.tiles.shards import ShardSet, list_shards

PATCHES = 6


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, make the views and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: augmentation, seed")
    parser.add_argument("--slides", required=True, type=Path, help="ids of the slides to train on, one a line")
    parser.add_argument("--shards", required=True, type=Path, help="folder with a shard for each slide")
    parser.add_argument("--output", required=True, type=Path, help="the picture (.jpg)")
    arguments = parser.parse_args(argv)

    cv2.setNumThreads(1)
    augmentation, seed = read_augmentation(arguments.settings["augmentation"]), arguments.settings["seed"]
    with ShardSet(list_shards(arguments.slides, arguments.shards)) as shards:
        indices = choose_patches(shards.slide_index, PATCHES, seed)
        damaged: list[str] = []
        reader = PatchViews(shards, augmentation, seed)
        patches = [reader.read_or_replace(index, damaged) for index in indices]
        names = [shards.slides[shards.slide_index[index]] for index in indices]
        parameters = draw_views(augmentation, shards.patch_px, seed, 0, indices)
        views = [make_views(patch, parameters.at(i), reader.view_px) for i, patch in enumerate(patches)]
    for sentence in damaged:
        print(sentence, file=sys.stderr)
    sheet = compose_sheet(patches, views, names, augmentation)
    with whole_file(arguments.output) as temporary:
        cv2.imwrite(str(temporary), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    run(main)
