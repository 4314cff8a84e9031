"""Patches to look at, drawn by a seed: of slides, or of a patch data set."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from histossl.errors import UserError
from histossl.features.geometry import Geometry
from histossl.patch_datasets.listing import check_split, read_patch_dataset
from histossl.patch_datasets.pictures import read_patch
from histossl.slides.patches import read_patches
from histossl.slides.reader import Slide
from histossl.stain.fit import fit_stain
from histossl.stain.normaliser import Normaliser
from histossl.tiles.coords_file import read_coords

Sample = tuple[list[str], list[np.ndarray]]
"""Names of patches, and what a network is given of each, (px, px, 3) uint8 RGB."""


def draw_sample(
    settings: Mapping[str, Any], files: Sequence[Path], coords: Sequence[Path], geometry: Geometry
) -> Sample:
    """Draw patches as one of the settings of `histossl.config.attention.sample_settings` asks for.

    Raises:
        UserError: see `sample_dataset`; or the reference of the stain can't be used.
    """
    common = (settings["searched"], settings["seed"], geometry, fit_stain(settings["stain"]))
    if settings["source"] is None:
        return sample_slides(files, coords, *common)
    return sample_dataset(
        Path(settings["source"]), settings["layout"], settings["split"], settings["all_up_to"], *common
    )


def sample_slides(
    files: Sequence[Path],
    coords: Sequence[Path],
    count: int,
    seed: int,
    geometry: Geometry,
    normaliser: Normaliser | None = None,
) -> Sample:
    """Up to `count` patches, as evenly from the slides as they have them, those of different slides in turn.

    A slide that can't be read is passed over, with a line on standard error.

    Args:
        files: of slides.
        coords: where the patches of each lie.
        count: of patches.
        seed: of the draw; a slide's patches are drawn by its place among `files` and the seed alone.
        geometry: brings a patch to what the network takes.
        normaliser: of the stain.
    """
    each = -(-count // max(1, len(files)))
    drawn = [
        list(_read_slide(file, place, each, np.random.default_rng([seed, number]), normaliser))
        for number, (file, place) in enumerate(zip(files, coords, strict=True))
    ]
    in_turn = [found for round_ in zip_longest(*drawn) for found in round_ if found is not None][:count]
    return [name for name, _ in in_turn], [geometry.apply(patch) for _, patch in in_turn]


def _read_slide(
    file: Path, place: Path, count: int, rng: np.random.Generator, normaliser: Normaliser | None
) -> Iterator[tuple[str, np.ndarray]]:
    try:
        tiles = read_coords(place)
        chosen = tiles.coords[rng.permutation(len(tiles.coords))[:count]]
        if not len(chosen):
            return
        with Slide(file) as slide:
            for (x, y), patch in zip(
                chosen, read_patches(slide, chosen, tiles.patch_level0, tiles.patch_px), strict=True
            ):
                yield f"{tiles.slide} ({x}, {y})", normaliser(patch[None])[0] if normaliser else patch
    except UserError as error:
        print(f"passed over: {error}", file=sys.stderr)


def sample_dataset(
    source: Path,
    layout: str,
    split: str,
    all_up_to: int,
    count: int,
    seed: int,
    geometry: Geometry,
    normaliser: Normaliser | None = None,
) -> Sample:
    """Up to `count` patches of a data set's split, or of all of it where `split` is empty, in random order.

    A data set of at most `all_up_to` patches, as one that somebody has chosen, is taken in its own order.

    Raises:
        UserError: the data set or a picture can't be read, or it has no such split.
    """
    patches = read_patch_dataset(source, layout)
    check_split(patches, source, split)
    patches = [patch for patch in patches if not split or patch.split == split]
    if len(patches) > all_up_to:
        patches = [patches[index] for index in np.random.default_rng(seed).permutation(len(patches))[:count]]
    pictures = [read_patch(patch) for patch in patches]
    if normaliser:
        pictures = [normaliser(picture[None])[0] for picture in pictures]
    return [patch.name for patch in patches], [geometry.apply(picture) for picture in pictures]
