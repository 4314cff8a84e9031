"""Reading the pixels of a labelled patch: a picture, a window of a larger one, or a row of an HDF5 array."""

import os
from functools import lru_cache
from pathlib import Path

import cv2
import h5py
import numpy as np

from histossl.errors import UserError
from histossl.patch_datasets.patch import LabelledPatch

HDF5_ARRAY = "x"
"""The array of pictures in an HDF5 file, (N, H, W, 3) uint8 RGB, as PCam calls it."""


def read_patch(patch: LabelledPatch) -> np.ndarray:
    """The pixels of a patch as (H, W, 3) uint8 RGB. Threads and forked processes may call it.

    Raises:
        UserError: its file is missing or damaged, or does not hold it.
    """
    if patch.row is not None:
        return _read_row(patch.path, patch.row)
    if patch.box is None:
        return read_picture(patch.path)
    x, y, width, height = patch.box
    window = _read_whole(patch.path)[y : y + height, x : x + width]
    if window.shape[:2] != (height, width):
        raise UserError(f"{patch.path}: too small for its patch {patch.name!r}; download it again")
    if patch.shrink == 1:
        return window.copy()
    return cv2.resize(window, (width // patch.shrink, height // patch.shrink), interpolation=cv2.INTER_AREA)


def read_picture(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB.

    Raises:
        UserError: the file is missing or is no picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if picture is None:
        raise UserError(f"{path}: missing or not a readable picture; replace it or take it off the data set's sheet")
    return picture


@lru_cache(maxsize=1)
def _read_whole(path: Path) -> np.ndarray:
    """A large picture, kept for its other windows, which are read next."""
    return read_picture(path)


def _read_row(path: Path, row: int) -> np.ndarray:
    try:
        return _open_array(path, os.getpid())[row]
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise UserError(f"{path}: missing, damaged, or without a picture {row}; download it again") from error


@lru_cache(maxsize=8)
def _open_array(path: Path, process: int) -> h5py.Dataset:
    """The array of a file, open. A forked process must not go on with the handle of another: each opens its own."""
    return h5py.File(path, "r")[HDF5_ARRAY]
