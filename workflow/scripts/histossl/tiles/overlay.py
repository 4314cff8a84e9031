"""A picture of a slide with the outlines of its tissue, to check segmentation at a glance."""

import cv2
import numpy as np

OUTLINE_BGR = (0, 160, 0)


def draw_overlay(
    picture: np.ndarray | None, polygons: list[list[list[list[float]]]], scale: float = 1.0, longest_px: int = 800
) -> np.ndarray:
    """Draw outlines on a small copy of the slide.

    Args:
        picture: (H, W, 3) uint8 RGB; None for a slide that could not be read, which gives a crossed-out frame.
        polygons: rings in level-0 pixels.
        scale: level-0 pixels per pixel of `picture`.
        longest_px: longest side of the result.

    Returns:
        (h, w, 3) uint8, BGR as OpenCV writes it.
    """
    if picture is None:
        frame = np.full((200, 300, 3), 235, np.uint8)
        cv2.line(frame, (0, 0), (299, 199), (0, 0, 160), 2, cv2.LINE_AA)
        cv2.line(frame, (0, 199), (299, 0), (0, 0, 160), 2, cv2.LINE_AA)
        return frame
    shrink = min(1.0, longest_px / max(picture.shape[:2]))
    size = tuple(max(1, round(side * shrink)) for side in picture.shape[1::-1])
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    drawn = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    for rings in polygons:
        outlines = [np.round(np.asarray(ring) * shrink / scale).astype(np.int32) for ring in rings]
        cv2.polylines(drawn, outlines, isClosed=True, color=OUTLINE_BGR, thickness=2)
    return drawn
