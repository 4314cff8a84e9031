"""MHIST as it is downloaded: colorectal polyps, patches of 224 px (Wei et al. 2021, arXiv 2101.12355).

    SOURCE/
        annotations.csv     columns Image Name, Majority Vote Label (HP or SSA),
                            Number of Annotators who Selected SSA (Out of 7), Partition (train or test)
        images/             MHIST_aaa.png ..., from images.zip

Layout: docs/datasets/mhist.md of kaiko-ai/eva. Nothing published says which patches are of one patient or slide.
"""

from pathlib import Path

from histossl.patch_datasets.download import find_parts
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.sheet import read_rows


def find_files(source: Path) -> list[Path]:
    """The annotations and the pictures that they name, there or not.

    Raises:
        UserError: the annotations or the folder of the pictures is missing.
    """
    sheet, _ = find_parts(source, ["annotations.csv", "images"], "MHIST")
    return [sheet, *(patch.path for patch in read(source))]


def read(source: Path) -> list[LabelledPatch]:
    """All patches, in the order of the annotations.

    Raises:
        UserError: the annotations or the folder of the pictures is missing, or a column.
    """
    sheet, images = find_parts(source, ["annotations.csv", "images"], "MHIST")
    rows = read_rows(sheet, {"Image Name", "Majority Vote Label", "Partition"})
    return [
        LabelledPatch(images / row["Image Name"], row["Image Name"], row["Majority Vote Label"], row["Partition"])
        for _, row in rows
    ]
