"""Masks from grey levels: (H, W) uint8, 0 or 255, as OpenCV takes them."""

import cv2
import numpy as np


def above(levels: np.ndarray, threshold: float) -> np.ndarray:
    """Where (H, W) uint8 exceeds the threshold. Unlike `cv2.compare`, for pictures of a single pixel as well."""
    return cv2.threshold(levels, threshold, 255, cv2.THRESH_BINARY)[1]


def below(levels: np.ndarray, threshold: int) -> np.ndarray:
    """Where (H, W) uint8 is less than a whole number."""
    return cv2.threshold(levels, threshold - 1, 255, cv2.THRESH_BINARY_INV)[1]
