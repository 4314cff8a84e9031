"""What the methods of stain normalisation share: batches, and which patches stay as they are."""

from abc import ABC, abstractmethod

import cv2
import numpy as np

DARK, MIN_DARK = 140, 0.01
"""A patch of which a smaller share is as dark as this grey level is glass, or all but glass: there is too little stain
in it to say what its colours should be, and normalisation would blow up the noise of the glass."""


class Normaliser(ABC):
    """Gives patches the colours of a reference, each patch by itself. Can be pickled, and called in threads."""

    name: str
    """Method and reference, for the attributes of files."""

    def __call__(self, patches: np.ndarray) -> np.ndarray:
        """Normalise (B, H, W, 3) uint8 RGB patches; returns the same shape and type, contiguous.

        Patches that are blank, or whose stains can't be told, stay as they are.
        """
        normalised = np.array(patches, order="C")
        for patch in normalised:
            if not is_blank(patch):
                self.normalise(patch)
        return normalised

    @abstractmethod
    def normalise(self, patch: np.ndarray) -> None:
        """Normalise one (H, W, 3) patch in place, or leave it as it is."""


def is_blank(patch: np.ndarray) -> bool:
    """Whether a (H, W, 3) patch is glass, or all but glass."""
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    return cv2.countNonZero(cv2.inRange(grey, 0, DARK)) < MIN_DARK * grey.size
