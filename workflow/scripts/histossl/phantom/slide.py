"""Compose a whole slide and its truth from one line of the phantom's specification."""

import csv
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from histossl.errors import UserError
from histossl.phantom.layout import PEN_COLOURS, draw_pen, draw_regions, draw_tissue
from histossl.phantom.painting import paint
from histossl.phantom.section import CODE, REGION_STEP
from histossl.phantom.stain import SITES, Stain, colour, vary
from histossl.phantom.tumour import ARRANGEMENTS

TUMOUR_CELLS_PER_MM2 = 2300
SLIDE_VARIATION = 0.05
TRUTH_DOWNSAMPLE = 16
NO_TISSUE = "none"


@dataclass(frozen=True)
class SlideSpecification:
    """One line of phantom.csv.

    Attributes:
        slide: slide id.
        subtype: "ductal", "lobular", or "none" for a slide without tissue.
        site: laboratory, a key of `stain.SITES`.
        stain_strength: factor on both dyes; 1 is usual.
        pen: colour of a pen mark, or "none".
        spacing_stated: whether the file states µm/px and magnification.
    """

    slide: str
    subtype: str
    site: str
    stain_strength: float
    pen: str
    spacing_stated: bool


@dataclass(frozen=True)
class DrawnSlide:
    """A slide's pixels and the truth about them.

    Attributes:
        image: (H, W, 3) uint8, red, green, blue.
        regions: (H/16, W/16) uint8, codes of `section.CLASSES`.
        pen: (H/16, W/16) bool, where there is ink.
        tumour_cells: (N, 2) float32, centres x, y in pixels of the image.
    """

    image: np.ndarray
    regions: np.ndarray
    pen: np.ndarray
    tumour_cells: np.ndarray


def read_specification(path: Path, slide: str) -> SlideSpecification:
    """Read one slide's line of phantom.csv.

    Raises:
        UserError: the slide has no line or more than one, a column is missing, or a value is not known.
    """
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        columns = list(SlideSpecification.__annotations__)
        missing = [column for column in columns if column not in (table.fieldnames or [])]
        if missing:
            raise UserError(f"{path} lacks the column '{missing[0]}'; it needs {', '.join(columns)}.")
        lines = [line for line in table if line["slide"] == slide]
    if len(lines) != 1:
        raise UserError(f"{path} has {len(lines)} lines for slide '{slide}'; it needs exactly one.")
    line = lines[0]
    for column, known in (
        ("subtype", [*ARRANGEMENTS, NO_TISSUE]),
        ("site", list(SITES)),
        ("pen", [*PEN_COLOURS, "none"]),
        ("spacing_stated", ["yes", "no"]),
    ):
        if line[column] not in known:
            raise UserError(f"{path}: slide '{slide}' has {column} '{line[column]}'; use one of {', '.join(known)}.")
    return SlideSpecification(
        slide=slide,
        subtype=line["subtype"],
        site=line["site"],
        stain_strength=float(line["stain_strength"]),
        pen=line["pen"],
        spacing_stated=line["spacing_stated"] == "yes",
    )


def draw_slide(
    specification: SlideSpecification, seed: int, width_px: int, height_px: int, spacing_um: float
) -> DrawnSlide:
    """Draw a slide; the same arguments give the same pixels.

    Everything but the arrangement of tumour cells is independent of the subtype: the layout, the other tissues and
    the stain are drawn from (seed, slide id) alone.

    Args:
        specification: what to draw.
        seed: the cohort's seed.
        width_px: width; cut down to a multiple of 16.
        height_px: height; cut down to a multiple of 16.
        spacing_um: µm per pixel.
    """
    layout_rng, stain_rng, pen_rng, paint_rng, noise_rng = (
        np.random.default_rng([seed, zlib.crc32(specification.slide.encode()), part]) for part in range(5)
    )
    pitch_um = REGION_STEP * spacing_um
    step = TRUTH_DOWNSAMPLE // REGION_STEP
    shape = tuple(side // TRUTH_DOWNSAMPLE * step for side in (height_px, width_px))
    if specification.subtype == NO_TISSUE:
        regions = np.full(shape, CODE["background"], np.uint8)
    else:
        regions = draw_regions(draw_tissue(shape, pitch_um, layout_rng), pitch_um, layout_rng)

    arrangement = specification.subtype if specification.subtype in ARRANGEMENTS else "ductal"
    section = paint(regions, spacing_um, arrangement, TUMOUR_CELLS_PER_MM2, paint_rng)
    stain = vary(SITES[specification.site], SLIDE_VARIATION, stain_rng)
    stain = replace(
        stain,
        haematoxylin_strength=stain.haematoxylin_strength * specification.stain_strength,
        eosin_strength=stain.eosin_strength * specification.stain_strength,
    )
    image = colour(section.inner(section.haematoxylin), section.inner(section.eosin), stain)
    ink = np.zeros(shape, np.uint8)
    if specification.pen != "none":
        around = regions != CODE["background"] if regions.any() else draw_tissue(shape, pitch_um, layout_rng)
        ink = draw_pen(around, pitch_um, pen_rng)
        _lay_ink(image, ink, PEN_COLOURS[specification.pen])
    return DrawnSlide(
        image=scan(image, stain, noise_rng),
        regions=regions[step // 2 :: step, step // 2 :: step].copy(),
        pen=ink[step // 2 :: step, step // 2 :: step] > 64,
        tumour_cells=(section.tumour_cells_um / spacing_um).astype(np.float32),
    )


def scan(image: np.ndarray, stain: Stain, rng: np.random.Generator) -> np.ndarray:
    """Add what a scanner adds: slight blur and noise; (H, W, 3) uint8, changed in place and returned."""
    cv2.GaussianBlur(image, (3, 3), stain.blur_px, dst=image)
    block_px = 512
    noise = np.round(rng.standard_normal((block_px, block_px, 3)) * 1.6)
    brighter, darker = np.maximum(noise, 0).astype(np.uint8), np.maximum(-noise, 0).astype(np.uint8)
    for top in range(0, image.shape[0], block_px):
        for left in range(0, image.shape[1], block_px):
            block = image[top : top + block_px, left : left + block_px]
            height, width = block.shape[:2]
            block[:] = cv2.subtract(cv2.add(block, brighter[:height, :width]), darker[:height, :width])
    return image


def _lay_ink(image: np.ndarray, ink: np.ndarray, absorbs: tuple[float, float, float]) -> None:
    """Multiply the light by what the ink lets through, in place."""
    left, top, width, height = cv2.boundingRect(ink)
    amount = cv2.resize(
        ink[top : top + height, left : left + width],
        None,
        fx=REGION_STEP,
        fy=REGION_STEP,
        interpolation=cv2.INTER_LINEAR,
    )
    passes = np.exp(-np.arange(256)[:, None] / 255 * np.array(absorbs))
    tables = np.round(255 * passes).astype(np.uint8)
    light = cv2.merge([cv2.LUT(amount, tables[:, channel]) for channel in range(3)])
    here = image[top * REGION_STEP : (top + height) * REGION_STEP, left * REGION_STEP : (left + width) * REGION_STEP]
    here[:] = cv2.multiply(here, light, scale=1 / 255)
