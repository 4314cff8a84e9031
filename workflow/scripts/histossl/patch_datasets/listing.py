"""The patches of a data set: a published one as it is downloaded, a sheet, or a folder for each class."""

import difflib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from histossl.errors import UserError
from histossl.patch_datasets import bcss, breastpathq, mhist, pcam
from histossl.patch_datasets.download import is_archive
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.sheet import read_sheet

PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
HIDDEN = (".", "__MACOSX")
"""How names of folders and files start that programs leave behind."""


@dataclass(frozen=True)
class Layout:
    """How a published data set lies on the disk."""

    find_files: Callable[[Path], list[Path]]
    """Its files, those of labels too; `UserError` where something is missing or still packed."""
    read: Callable[[Path], list[LabelledPatch]]
    """Its patches."""
    list_regions: Callable[[Path], list[LabelledPatch]] | None = None
    """What its patches are cut from, with splits and groups, where telling their labels means opening large files."""


LAYOUTS = {
    "pcam": Layout(pcam.find_files, pcam.read),
    "mhist": Layout(mhist.find_files, mhist.read),
    "breastpathq": Layout(breastpathq.find_files, breastpathq.read),
    "bcss": Layout(bcss.find_files, partial(bcss.read, shrink=2), bcss.list_regions),
    "bcss_40x": Layout(bcss.find_files, partial(bcss.read, shrink=1), bcss.list_regions),
}


def read_patch_dataset(source: Path, layout: str = "") -> list[LabelledPatch]:
    """List the patches of a data set.

    Args:
        source: a CSV sheet `path,label[,split][,group][,target]` with paths relative to its folder, a folder with a
            folder for each class, or the folder of a published data set.
        layout: which published one, of `LAYOUTS`; empty for a sheet or a folder of classes.

    Raises:
        UserError: the source is missing, empty or still packed, a column is missing, or a target is not a number.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"{source}: no such sheet or folder of patches; correct it under `patch_datasets`")
    if layout:
        patches = LAYOUTS[layout].read(source)
    elif source.is_dir():
        patches = [LabelledPatch(source / name, name, label=name.partition("/")[0]) for name in _list_classes(source)]
    elif is_archive(source):
        raise UserError(f"{source}: still packed; unpack it and name the folder")
    else:
        patches = read_sheet(source)
    if not patches:
        packed = sorted(path.name for path in source.iterdir() if is_archive(path)) if source.is_dir() else []
        remedy = f"; unpack {packed[0]}" if packed else ""
        raise UserError(
            f"{source}: holds no patch; a folder needs one folder for each class with pictures in it{remedy}"
        )
    return patches


def read_groups(source: Path, layout: str = "", split: str = "") -> set[str]:
    """The groups of a split, or of all, without opening what is large."""
    list_regions = LAYOUTS[layout].list_regions if layout else None
    patches = list_regions(Path(source)) if list_regions else read_patch_dataset(source, layout)
    return {patch.group for patch in patches if not split or patch.split == split} - {""}


def check_split(patches: Sequence[LabelledPatch], source: Path, split: str) -> None:
    """Make sure that a data set has a split; an empty name stands for all of it.

    Raises:
        UserError: there is no such split (with the nearest name).
    """
    splits = dict.fromkeys(patch.split for patch in patches if patch.split)
    if split and split not in splits:
        near = difflib.get_close_matches(split, splits, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(splits) or 'none'}"
        raise UserError(f"{source}: has no split {split!r}; {remedy}")


def pick_labelled(patches: Sequence[LabelledPatch], source: Path, split: str = "") -> list[LabelledPatch]:
    """The patches of a split, or of all, that have a label.

    Raises:
        UserError: there is no such split (with the nearest name), or it has no two classes.
    """
    check_split(patches, source, split)
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
def fingerprint_pictures(source: Path, layout: str = "") -> str:
    """Fingerprint of which files a data set has, how large they are and when they were changed.

    Size alone does not tell: uncompressed pictures of one size all have one length.

    Raises:
        UserError: see `read_patch_dataset`, or a picture is missing.
    """
    source = Path(source)
    digest = hashlib.sha256(f"{layout}\n".encode())
    for path, name in _list_files(source, layout):
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise UserError(
                f"{source}: the picture {name!r} is not there; correct its path or delete its line"
            ) from error
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        if layout and name.endswith((".csv", "_y.h5")):
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


def _list_files(source: Path, layout: str) -> list[tuple[str | Path, str]]:
    """The files of a data set with their names in it."""
    if layout:
        return [(path, os.path.relpath(path, source)) for path in LAYOUTS[layout].find_files(source)]
    if source.is_dir() and (names := _list_classes(source)):
        return [(f"{source}/{name}", name) for name in names]
    return [(patch.path, patch.name) for patch in read_patch_dataset(source)]


def _list_classes(source: Path) -> list[str]:
    """The pictures of a folder of classes as `class/file`, in their order; a class may have folders of its own.

    No `Path` each: there may be 100,000.
    """
    found: list[str] = []
    for folder in sorted(entry for entry in source.iterdir() if entry.is_dir() and not entry.name.startswith(HIDDEN)):
        for inner, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
            place = os.path.relpath(inner, source)
            found += [f"{place}/{name}" for name in names if _is_picture(name)]
    return sorted(found)


def _is_picture(name: str) -> bool:
    return name[name.rfind(".") :].lower() in PICTURES and not name.startswith(HIDDEN)
