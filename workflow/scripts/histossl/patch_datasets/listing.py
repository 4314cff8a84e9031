"""Labelled patches: a sheet, or a folder for each class."""

import csv
import difflib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from histossl.errors import UserError

PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class LabelledPatch:
    """One picture. `label`, `split` and `group` are empty and `target` is NaN where the data set has none."""

    path: Path
    name: str
    """The path as the data set writes it, relative to its folder."""
    label: str = ""
    split: str = ""
    group: str = ""
    """Patches of one patient or source tile: never on both sides of a split."""
    target: float = math.nan


def read_patch_dataset(source: Path) -> list[LabelledPatch]:
    """List a data set: a CSV sheet `path,label[,split][,group][,target]`, or a folder with a folder for each class.

    Paths in a sheet are relative to the sheet's folder.

    Raises:
        UserError: the source is missing or empty, a column is missing, or a target is not a number.
    """
    source = Path(source)
    if source.is_dir():
        pictures = sorted(path for path in source.glob("*/*") if path.suffix.lower() in PICTURES)
        patches = [LabelledPatch(path, str(path.relative_to(source)), label=path.parent.name) for path in pictures]
    elif source.is_file():
        patches = _read_sheet(source)
    else:
        raise UserError(f"{source}: no such sheet or folder of patches; correct it under `patch_datasets`")
    if not patches:
        raise UserError(f"{source}: holds no patch; a folder needs one folder for each class with pictures in it")
    return patches


def pick_labelled(patches: Sequence[LabelledPatch], source: Path, split: str = "") -> list[LabelledPatch]:
    """The patches of a split, or of all, that have a label.

    Raises:
        UserError: there is no such split (with the nearest name), or it has no two classes.
    """
    splits = dict.fromkeys(patch.split for patch in patches if patch.split)
    if split and split not in splits:
        near = difflib.get_close_matches(split, splits, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(splits) or 'none'}"
        raise UserError(f"{source}: has no split {split!r}; {remedy}")
    labelled = [patch for patch in patches if patch.label and (not split or patch.split == split)]
    classes = {patch.label for patch in labelled}
    if len(classes) < 2:
        where = f"its split {split!r} has" if split else "has"
        raise UserError(
            f"{source}: {where} {len(labelled)} labelled patches of {len(classes)} class(es), where two classes are "
            "needed; fill its column label or name another data set"
        )
    return labelled


@cache
def fingerprint_pictures(source: Path) -> str:
    """Fingerprint of which pictures a data set has and how large their files are.

    Raises:
        UserError: see `read_patch_dataset`, or a picture is missing.
    """
    digest = hashlib.sha256()
    for patch in read_patch_dataset(source):
        if not patch.path.is_file():
            raise UserError(f"{source}: the picture {patch.name!r} is not there; correct its path or delete its line")
        digest.update(f"{patch.name}\0{patch.path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def _read_sheet(sheet: Path) -> list[LabelledPatch]:
    try:
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if "path" not in columns or not {"label", "target"} & set(columns):
                has = ", ".join(columns) or "nothing"
                raise UserError(f"{sheet}: needs the column path and label or target, but has {has}; add it")
            # Not a count of rows: blank lines are passed over.
            return [_parse(row, sheet, reader.line_num) for row in reader]
    except UnicodeDecodeError as error:
        raise UserError(f"{sheet}: not a UTF-8 text file ({error.reason}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{sheet}: not a CSV file ({error}); look for a quotation mark that is never closed") from error


def _parse(row: dict[str, str], sheet: Path, line: int) -> LabelledPatch:
    if any(row.pop(None, ())):
        raise UserError(f"{sheet}: line {line} has more fields than the header; quote a value that holds a comma")
    values = {key: (row.get(key) or "").strip() for key in ("path", "label", "split", "group", "target")}
    if not values["path"]:
        raise UserError(f"{sheet}: line {line} has no path; fill it in or delete the line")
    try:
        target = float(values["target"]) if values["target"] else math.nan
    except ValueError:
        target = math.inf
    if math.isinf(target):
        raise UserError(
            f"{sheet}: line {line} has the target {values['target']!r}, not a number; correct it or leave it blank"
        )
    return LabelledPatch(
        sheet.parent / values["path"], values["path"], values["label"], values["split"], values["group"], target
    )
