"""Attention as it was stored for each slide, and its percentile ranks."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.stats import rankdata

from histossl.errors import UserError
from histossl.hdf5 import DAMAGED, read_array


@dataclass(frozen=True)
class OutOfFold:
    """The fold whose head judged a slide without having seen its patient, and how many patches it looked at."""

    fold: int
    patches: int


def list_tested(path: Path, only: str | None = None) -> tuple[int, dict[str, OutOfFold]]:
    """The seed of the heads whose attention a file holds, and by slide the fold and the number of patches.

    `only` asks for one slide, which need not be there.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            slides = list(file) if only is None else [only] if only in file else []
            tested = {
                slide: OutOfFold(int(file[slide].attrs["fold"]), len(file[slide]["attention"])) for slide in slides
            }
            return int(file.attrs["seed"]), tested
    except DAMAGED as error:
        raise UserError(f"{path}: not a readable attention file ({error}); delete it and rerun") from error


def read_attention(path: Path, slide: str) -> tuple[np.ndarray, np.ndarray]:
    """Attention (N,), which sums to one, and coords (N, 2), level-0 pixels, of one slide.

    Raises:
        UserError: the file is missing or damaged, or does not hold the slide.
    """
    try:
        with h5py.File(path, "r") as file:
            return read_array(file[slide], "attention"), read_array(file[slide], "coords")
    except DAMAGED as error:
        raise UserError(f"{path}: attention of {slide!r} cannot be read ({error}); delete it and rerun") from error


def rank_attention(attention: np.ndarray) -> np.ndarray:
    """Percentile ranks (N,) in 0 to 100: the share of patches with less attention and half of those with as much.

    That is `scipy.stats.percentileofscore` of kind `mean`. Ranks, because a softmax over thousands of patches leaves
    all but a few near zero.
    """
    return 100 * (rankdata(attention) - 0.5) / len(attention)


def find_problem(attention: np.ndarray) -> str:
    """Why a slide's attention can't be drawn; empty where it can."""
    if not len(attention):
        return "it has no patches"
    if len(attention) == 1:
        return "it has one patch alone, so that there is nothing to compare"
    if not np.isfinite(attention).all():
        return "its attention is not finite"
    if attention.min() == attention.max():
        return "this head gives all patches the same attention"
    return ""
