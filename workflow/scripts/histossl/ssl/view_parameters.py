"""The random parameters of views as columns of one table, so that a batch's travel to the device in one piece."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import numpy as np

Array = TypeVar("Array")
"""A numpy array or a tensor."""

COLUMNS = {
    "box": 4,
    "orientation": 1,
    "stained": 1,
    "stain_matrix": 9,
    "stain_shift": 3,
    "colour_matrix": 9,
    "colour_mean_weight": 1,
    "solarised": 1,
}
"""Numbers of each parameter; `blur_taps` takes the columns that follow."""
STARTS = dict(zip(COLUMNS, np.cumsum([0, *COLUMNS.values()]).tolist(), strict=False))
TAPS_START = sum(COLUMNS.values())


@dataclass(frozen=True)
class ViewParameters(Generic[Array]):
    """Parameters of views of any shape, e.g. (B, V)."""

    table: Array
    """(..., C) float32."""

    @classmethod
    def of(cls, *, blur_taps: np.ndarray, **parameters: np.ndarray) -> Self:
        """Put arrays, named and shaped as the properties below, together."""
        shape = parameters["orientation"].shape
        columns = [np.reshape(parameters[name], (*shape, count)) for name, count in COLUMNS.items()]
        return cls(np.concatenate([*columns, blur_taps], axis=-1, dtype=np.float32))

    def at(self, *index: int) -> "ViewParameters[Array]":
        """Parameters of some of the views, or of one."""
        return ViewParameters(self.table[index])

    @property
    def box(self) -> Array:
        """(..., 4) left, top, width, height of the crop, whole px of the patch."""
        return self._columns("box")

    @property
    def orientation(self) -> Array:
        """(...) 0..7, for tissue has no up: bit 0 mirrors left and right, bit 1 top and bottom, bit 2 swaps axes."""
        return self.table[..., STARTS["orientation"]]

    @property
    def stained(self) -> Array:
        """(...) 1 where the stain map is more than the identity."""
        return self.table[..., STARTS["stained"]]

    @property
    def stain_matrix(self) -> Array:
        """(..., 3, 3)."""
        return self._columns("stain_matrix").reshape(*self.table.shape[:-1], 3, 3)

    @property
    def stain_shift(self) -> Array:
        """(..., 3)."""
        return self._columns("stain_shift")

    @property
    def colour_matrix(self) -> Array:
        """(..., 3, 3)."""
        return self._columns("colour_matrix").reshape(*self.table.shape[:-1], 3, 3)

    @property
    def colour_mean_weight(self) -> Array:
        """(...)."""
        return self.table[..., STARTS["colour_mean_weight"]]

    @property
    def solarised(self) -> Array:
        """(...) 1 or 0."""
        return self.table[..., STARTS["solarised"]]

    @property
    def blur_taps(self) -> Array:
        """(..., R + 1) weights of the Gaussian at 0, 1, ... R px, multiples of 1/256; 1, 0, ... for no blur."""
        return self.table[..., TAPS_START:]

    def _columns(self, name: str) -> Array:
        return self.table[..., STARTS[name] : STARTS[name] + COLUMNS[name]]
