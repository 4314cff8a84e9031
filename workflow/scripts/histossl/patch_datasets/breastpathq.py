"""BreastPathQ as it is downloaded: tumour cellularity of patches of 512 px (Petrick et al. 2021, JMI 8(3) 034501).

    SOURCE/                         or the folder that holds it as breastpathq/datasets or datasets
        train_labels.csv            columns slide, rid (region), y (cellularity from 0 to 1)
        val_labels.csv              the same; where it came later, in breastpathq-test/ beside breastpathq/
        train/SLIDE_RID.tif
        validation/SLIDE_RID.tif

Layout: the study's patch_extraction_utils.py (Richarizardd/Self-Supervised-ViT-Path), which trains on `train` and tests
on `validation`; github.com/nestors11/breastpathq-Solution for breastpathq-test. The labels of the challenge's test
patches are not published with it.
"""

from pathlib import Path

from histossl.patch_datasets.download import find_parts
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.sheet import parse_target, read_rows

TITLE = "BreastPathQ"
NESTED = ("datasets", "breastpathq/datasets")
SPLITS = (("train", "train_labels.csv"), ("validation", "val_labels.csv"))


def find_files(source: Path) -> list[Path]:
    """The two sheets and the pictures that they name, there or not.

    Raises:
        UserError: a sheet or the folder of its pictures is missing.
    """
    return [*_find_sheets(source).values(), *(patch.path for patch in read(source))]


def read(source: Path) -> list[LabelledPatch]:
    """All patches with a label; `target` is the cellularity. The group is the slide: its patient is not told.

    Raises:
        UserError: a sheet or the folder of its pictures is missing, or a sheet can't be used.
    """
    patches: list[LabelledPatch] = []
    for split, sheet in _find_sheets(source).items():
        folder = _find_folder(source) / split
        for line, row in read_rows(sheet, {"slide", "rid", "y"}):
            name, target = f"{row['slide']}_{row['rid']}.tif", parse_target(row["y"], sheet, line)
            group = f"slide {row['slide']}"  # not the bare number, which may be a patient's of the slide sheet
            patches.append(LabelledPatch(folder / name, f"{split}/{name}", split=split, group=group, target=target))
    return patches


def _find_folder(source: Path) -> Path:
    folders = (source, *(source / nested for nested in NESTED))
    return next((folder for folder in folders if (folder / "train_labels.csv").is_file()), source)


def _find_sheets(source: Path) -> dict[str, Path]:
    folder = _find_folder(source)
    later = [above / "breastpathq-test/val_labels.csv" for above in (folder, *folder.absolute().parents[:2])]
    validation = next((path for path in later if path.is_file()), folder / "val_labels.csv")
    needed = [part for split, sheet in SPLITS for part in (split, sheet)]
    if validation.parent != folder:
        needed.remove("val_labels.csv")
    find_parts(folder, needed, TITLE)
    return {"train": folder / "train_labels.csv", "validation": validation}
