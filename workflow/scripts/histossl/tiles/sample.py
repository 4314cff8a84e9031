"""Which patches of a slide pretraining sees."""

import zlib

import numpy as np


def sample_coords(coords: np.ndarray, at_most: int | None, seed: int, slide: str) -> np.ndarray:
    """Draw at most `at_most` rows of `coords` (N, 2) without replacement, in their old order; None takes all.

    The draw depends on the seed and the slide's name alone, so that adding a slide changes no other's.
    """
    if at_most is None or len(coords) <= at_most:
        return coords
    generator = np.random.default_rng([seed, zlib.crc32(slide.encode())])
    return coords[np.sort(generator.choice(len(coords), at_most, replace=False))]
