"""One labelled patch, whatever it is stored in."""

import math
from pathlib import Path
from typing import NamedTuple


class LabelledPatch(NamedTuple):
    """One patch. `label`, `split` and `group` are empty and `target` is NaN where the data set has none.

    A tuple, because a data set may have 300,000, and a frozen dataclass takes three times as long to make.
    """

    path: Path
    """The file that it is read from, see `histossl.patch_datasets.pictures.read_patch`."""
    name: str
    """Unique in its data set: the path as the data set writes it, or which part of a file it is."""
    label: str = ""
    split: str = ""
    group: str = ""
    """Patches of one patient or source tile: never on both sides of a split."""
    target: float = math.nan
    row: int | None = None
    """Which picture of an HDF5 array it is."""
    box: tuple[int, int, int, int] | None = None
    """The window of a larger picture that it is: x and y of its upper left corner, width and height, px."""
    shrink: int = 1
    """How many pixels of the window, in each direction, are averaged to one."""
