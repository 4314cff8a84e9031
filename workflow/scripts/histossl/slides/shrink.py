"""An area filter over regions that are too large to hold."""

import cv2
import numpy as np

from histossl.slides.source import PixelSource


def shrink_in_strips(
    source: PixelSource, level: int, region: tuple[int, int, int, int], out: np.ndarray, strip_px: int
) -> None:
    """Fill `out` with a region of a level, shrunk by an area filter, holding one strip of it at a time.

    Each row of the result is the mean of the source rows it covers, those cut by its edges weighted by their part: what
    `cv2.INTER_AREA` computes on the whole region, up to rounding.

    Args:
        source: what to read from.
        level: which level of it.
        region: left, top, width and height, level pixels.
        out: (h, w, 3) uint8 in C order, no larger than the region.
        strip_px: pixels of the region to hold at once, at least a row.
    """
    left, top, width, height = region
    out_height, out_width = out.shape[:2]
    rows_per_out = height / out_height
    rows_at_once = max(1, strip_px // width)
    total = np.zeros((out_height, out_width, 3), np.float32)
    strip = np.empty((min(rows_at_once, height), width, 3), np.uint8)
    for start in range(0, height, rows_at_once):
        rows = min(rows_at_once, height - start)
        source.read_level(level, left, top + start, strip[:rows])
        narrow = cv2.resize(strip[:rows], (out_width, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
        first = int(start / rows_per_out)
        last = min(out_height, int(np.ceil((start + rows) / rows_per_out)))
        edges = np.arange(first, last + 1) * rows_per_out
        # How much of each source row lies within each row of the result.
        row = np.arange(start, start + rows)
        shared = np.minimum(edges[1:, None], row + 1) - np.maximum(edges[:-1, None], row)
        weights = (np.clip(shared, 0, 1) / rows_per_out).astype(np.float32)
        total[first:last] += (weights @ narrow.reshape(rows, -1)).reshape(last - first, out_width, 3)
    np.copyto(out, np.clip(total + 0.5, 0, 255).astype(np.uint8))
