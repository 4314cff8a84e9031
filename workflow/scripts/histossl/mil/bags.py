"""Bags: the patch features of whole slides, as multiple-instance learning sees them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histossl.errors import UserError
from histossl.features.slide_features import read_slide_features


@dataclass(frozen=True)
class Bag:
    """The patches of one slide.

    Attributes:
        features: (N, D) float32; N may be 0.
        coords: (N, 2) int64, level-0 x and y of each patch's top left corner.
    """

    features: np.ndarray
    coords: np.ndarray


def read_bags(slides: Iterable[str], folder: Path) -> dict[str, Bag]:
    """Read the features of `slides`, each file once.

    Args:
        slides: ids of the slides that are needed.
        folder: where the feature files are, `{slide}.h5` with `features` and `coords`.

    Returns:
        One bag for each slide, in the order of the ids.

    Raises:
        UserError: a slide has no feature file, or two files differ in the number of features.
    """
    bags: dict[str, Bag] = {}
    dimension: tuple[str, int] | None = None
    for slide in sorted(set(slides)):
        path = Path(folder) / f"{slide}.h5"
        if not path.exists():
            raise UserError(f"{path}: slide '{slide}' is in the splits but has no features; embed it or leave it out")
        features, coords = read_slide_features(path)
        bags[slide] = Bag(features.astype(np.float32, copy=False), coords)
        width = bags[slide].features.shape[1]
        dimension = dimension or (slide, width)
        if width != dimension[1]:
            raise UserError(
                f"{path} has {width} features a patch but that of slide '{dimension[0]}' has {dimension[1]}; "
                f"embed all slides with the same encoder"
            )
    return bags
