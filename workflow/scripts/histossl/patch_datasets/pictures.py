"""Reading the picture of a labelled patch."""

from pathlib import Path

import cv2
import numpy as np

from histossl.errors import UserError


def read_picture(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB.

    Raises:
        UserError: the file is missing or is no picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if picture is None:
        raise UserError(f"{path}: missing or not a readable picture; replace it or take it off the data set's sheet")
    return picture
