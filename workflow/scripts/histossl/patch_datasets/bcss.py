"""BCSS as it is downloaded, cut into patches: regions of TCGA-BRCA slides with a mask of tissue classes.

    SOURCE/                         or the folder that holds it as 0_Public-data-Amgad2019_0.25MPP
        rgbs_colorNormalized/TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500.png
        masks/                      the same names: PNG of the codes of meta/gtruth_codes.tsv, 0 outside the region

Amgad et al. 2019, doi:10.1093/bioinformatics/btz083; github.com/PathologyDataScience/BCSS. What its script downloads
lies in images/ instead, without stain normalisation.

BCSS is made for segmentation and has no patches of its own. Patches are the windows of a grid without overlap. A
window's label is the class that more than half of its pixels have; a window without one is left out. Classes and the
split by institute are those of the challenge's baseline (bcsegmentation.grand-challenge.org/Baseline, as read in
kaiko-ai/eva's datasets/segmentation/bcss.py), without its fifth class, the rest. Chen & Krishnan 2022 evaluate on four
classes by majority vote too, on 40x, but do not publish their windows.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from histossl.errors import UserError
from histossl.patch_datasets.download import find_parts
from histossl.patch_datasets.patch import LabelledPatch

if TYPE_CHECKING:
    import numpy as np

NESTED = "0_Public-data-Amgad2019_0.25MPP"
NAME = re.compile(r"(TCGA-(\w\w)-\w{4})-.*_MPP-(\d+\.\d+)")
SPACING_UM = 0.25
WINDOW_PX = 224
TEST_INSTITUTES = {"OL", "LL", "E2", "EW", "GM", "S3"}
CODES = {
    "tumour": (1, 19, 20),  # tumor, angioinvasion, dcis
    "stroma": (2,),
    "inflammatory": (3, 10, 11),  # lymphocytic_infiltrate, plasma_cells, other_immune_infiltrate
    "necrosis": (4,),  # necrosis_or_debris
}


def find_files(source: Path) -> list[Path]:
    """The pictures and the masks.

    Raises:
        UserError: see `list_regions`.
    """
    return [file for region in list_regions(source) for file in (region.path, _mask_of(region))]


def list_regions(source: Path) -> list[LabelledPatch]:
    """The whole regions, without labels: what can be told without opening a file. The group is the patient.

    Raises:
        UserError: a folder, a picture or a mask is missing, or the files are of another scale than 0.25 µm/px.
    """
    folder = source / NESTED if (source / NESTED).is_dir() else source
    pictures = "images" if (folder / "images").is_dir() else "rgbs_colorNormalized"
    images, masks = find_parts(folder, [pictures, "masks"], "BCSS")
    pictured, masked = ({path.name for path in part.glob("*.png")} for part in (images, masks))
    if pictured != masked:
        name = min(pictured ^ masked)
        raise UserError(f"{images if name in masked else masks}: lacks {name}; download it again")
    regions: list[LabelledPatch] = []
    for path in sorted(images.glob("*.png")):
        found = NAME.match(path.name)
        if found is None or abs(float(found[3]) - SPACING_UM) > 0.001:
            raise UserError(f"{path}: not named as a region of BCSS at {SPACING_UM} µm/px; download it at that MPP")
        split = "test" if found[2] in TEST_INSTITUTES else "train"
        regions.append(LabelledPatch(path, path.stem, split=split, group=found[1]))
    if not regions:
        raise UserError(f"{images}: holds no region of BCSS; unpack its pictures there")
    return regions


def read(source: Path, shrink: int) -> list[LabelledPatch]:
    """The windows with a label, `WINDOW_PX` wide after `shrink` pixels in each direction are averaged to one.

    Raises:
        UserError: see `list_regions`, or a mask is damaged.
    """

    def cut(region: LabelledPatch) -> list[LabelledPatch]:
        return list(_cut(region, WINDOW_PX * shrink, shrink))

    with ThreadPoolExecutor() as pool:  # OpenCV and NumPy leave Python's lock
        return [patch for patches in pool.map(cut, list_regions(source)) for patch in patches]


def _cut(region: LabelledPatch, px: int, shrink: int) -> Iterator[LabelledPatch]:
    for (row, column), label in label_windows(_read_mask(_mask_of(region)), px):
        x, y = column * px, row * px
        yield region._replace(name=f"{region.name}_x{x}_y{y}", label=label, box=(x, y, px, px), shrink=shrink)


def label_windows(mask: "np.ndarray", px: int) -> Iterator[tuple[tuple[int, int], str]]:
    """Row, column and class of the windows of a grid from the upper left corner that have a class.

    Args:
        mask: (H, W) uint8, codes.
        px: width and height of a window, and the step of the grid.
    """
    import numpy as np

    class_of = np.full(256, len(CODES), np.uint8)
    for index, codes in enumerate(CODES.values()):
        class_of[list(codes)] = index
    classes = class_of[mask]
    for row in range(mask.shape[0] // px):
        for column in range(mask.shape[1] // px):
            window = classes[row * px : (row + 1) * px, column * px : (column + 1) * px]
            for index, label in enumerate(CODES):
                if 2 * np.count_nonzero(window == index) > px * px:
                    yield (row, column), label


def _mask_of(region: LabelledPatch) -> Path:
    return region.path.parents[1] / "masks" / region.path.name


def _read_mask(path: Path) -> "np.ndarray":
    import cv2  # not above: Snakemake imports this module for each of its jobs

    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise UserError(f"{path}: not a readable mask of one channel; download it again")
    return mask
