"""The normaliser that a configuration asks for, fitted to its reference picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from histossl.errors import UserError
from histossl.stain.macenko import Macenko
from histossl.stain.normaliser import Normaliser, is_blank
from histossl.stain.reinhard import Reinhard

METHODS = {"macenko": Macenko, "reinhard": Reinhard}
MAX_PIXELS = 1024**2
"""Of a reference; fitting to so many takes a second, in each job."""


def fit_stain(settings: Mapping[str, Any] | None) -> Normaliser | None:
    """Fit a normaliser to its reference; takes milliseconds for a picture of the size of a patch.

    Args:
        settings: the config's `stain`, its method and the path of its reference; None for no normalisation,
            which gives None.

    Raises:
        UserError: the reference is missing, no picture, too large, blank, or its stains can't be told.
    """
    if settings is None:
        return None
    path, method = Path(settings["reference"]), settings["method"]
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if picture is None:
        raise UserError(f"{path}: missing or not a readable picture; give another stain reference")
    height, width = picture.shape[:2]
    if height * width > MAX_PIXELS:
        raise UserError(f"{path}: {width} x {height} px are too many for a stain reference; cut a piece out of it")
    normaliser = None if is_blank(picture) else METHODS[method].fit(f"{method}: {path.name}", picture)
    if normaliser is None:
        raise UserError(
            f"{path}: blank, or of one colour, so that {method} can't tell its stains; give another stain reference"
        )
    return normaliser
