"""A contact sheet of what a network is shown: patches, and beside each the views that are made of it."""

from collections.abc import Sequence

import cv2
import numpy as np

from histossl.cohort.contact_sheet import MARGIN_PX, write_lines
from histossl.ssl.settings import AugmentationSettings, ViewSettings
from histossl.ssl.views import view_sides

WIDTH_PX = 1600
"""The sheet is about this wide: small views are enlarged, large ones shrunk, all by one factor."""
MAX_ZOOM = 3.0
HEADER_PX, CAPTION_PX = 46, 26


def choose_patches(slide_index: np.ndarray, count: int, seed: int) -> list[int]:
    """At most `count` patches, spread over the slides; `slide_index` (N,) says which slide each patch is from."""
    slides = np.unique(slide_index)
    random = np.random.default_rng(seed)
    chosen = slides[np.linspace(0, len(slides) - 1, count).round().astype(int)]
    return list(dict.fromkeys(int(random.choice(np.flatnonzero(slide_index == slide))) for slide in chosen))


def describe_kind(view: ViewSettings) -> list[str]:
    """Two lines on one kind of view."""
    area = "-".join(f"{100 * share:g}" for share in view.scale)
    return [
        f"{view.count} x {view.px} px, {area}% of the area",
        f"blur {view.blur_probability:g}, solarise {view.solarise_probability:g}",
    ]


def compose_sheet(
    patches: Sequence[np.ndarray],
    views: Sequence[Sequence[np.ndarray]],
    names: Sequence[str],
    augmentation: AugmentationSettings,
) -> np.ndarray:
    """Draw a row for each patch: the patch, its name below, and its views under a header for each kind.

    Args:
        patches: (side, side, 3) uint8 RGB each.
        views: of each patch, in the order of the settings.
        names: where each patch is from.
        augmentation: the settings that the views were made by.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    sides = [patches[0].shape[0], *view_sides(augmentation)]
    zoom = min(MAX_ZOOM, (WIDTH_PX - MARGIN_PX * (len(sides) + 1)) / sum(sides))
    shown = [max(1, round(zoom * side)) for side in sides]
    lefts = MARGIN_PX + np.concatenate([[0], np.cumsum(np.add(shown, MARGIN_PX))])
    row_px = max(max(shown), shown[0] + CAPTION_PX) + MARGIN_PX
    sheet = np.full((HEADER_PX + len(patches) * row_px, lefts[-1], 3), 255, np.uint8)

    write_lines(sheet, ["patch", f"{sides[0]} px"], (MARGIN_PX, 18), shown[0])
    first = 1
    for view in augmentation.views:
        width = lefts[first + view.count] - lefts[first] - MARGIN_PX
        write_lines(sheet, describe_kind(view), (int(lefts[first]), 18), int(width))
        first += view.count
    for row, (patch, own, name) in enumerate(zip(patches, views, names, strict=True)):
        top = HEADER_PX + row * row_px
        for picture, left, side in zip((patch, *own), lefts, shown, strict=False):
            way = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_NEAREST
            sheet[top : top + side, left : left + side] = cv2.resize(picture, (side, side), interpolation=way)
        write_lines(sheet, [name], (MARGIN_PX, top + shown[0] + 18), shown[0])
    return sheet
