"""Which files below a folder are slides.

A suffix alone does not say it: a slide may have none (DICOM), and a file that looks like one may be a part of another
(the `.dat` files of an MRXS slide) or its picture (a thumbnail beside it). OpenSlide is asked about what the suffix
leaves open.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openslide

from histossl.errors import UserError
from histossl.slides.guard import run_apart

OPENSLIDE_SUFFIXES = frozenset(
    (".svs", ".svslide", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".bif", ".tif", ".tiff", ".dcm")
)
OTHER_SUFFIXES = frozenset((".czi", ".vsi", ".isyntax", ".kfb", ".sdpc", ".qptiff", ".zvi"))
SLIDE_SUFFIXES = OPENSLIDE_SUFFIXES | OTHER_SUFFIXES
"""Files with these are listed even where they cannot be opened: a slide must not go missing without a word."""
PICTURE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp"))
UNFINISHED_SUFFIXES = frozenset((".partial", ".part", ".tmp", ".crdownload", ".download", ".filepart"))
"""Downloads that were cut off; the head of a TIFF is there, so that OpenSlide may take them for whole."""
DETECT_AT_ONCE = 200
DETECT_S = 60
"""Processor time for so many files; each takes well below a millisecond."""


@dataclass
class Search:
    """What was found below a folder.

    Attributes:
        slides: files to open, sorted. All files of a DICOM series are still among them.
        pictures: flat images that were left out, because they lie among whole slides.
        unfinished: downloads that were cut off, left out.
        others: files that are no slides, counted by suffix.
    """

    slides: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def find_slides(folder: Path, take_pictures: bool) -> Search:
    """Look for slides in `folder` and all folders below, through links too, leaving out what starts with a dot.

    Args:
        folder: where to look.
        take_pictures: take flat images also where there are whole slides; without those they are always taken.

    Raises:
        UserError: `folder` is not a folder.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder; correct --slides")
    search = Search()
    unclear: list[Path] = []
    for path in _walk(Path(folder)):
        suffix = path.suffix.lower()
        if suffix in UNFINISHED_SUFFIXES:
            search.unfinished.append(path)
        elif suffix in PICTURE_SUFFIXES:
            search.pictures.append(path)
        elif suffix in SLIDE_SUFFIXES:
            search.slides.append(path)
        else:
            unclear.append(path)
    for start in range(0, len(unclear), DETECT_AT_ONCE):
        batch = unclear[start : start + DETECT_AT_ONCE]
        slides = set(_detect(batch))
        search.slides += slides
        search.others.update(path.suffix.lower() or "no suffix" for path in batch if path not in slides)
    if take_pictures or not search.slides:
        search.slides += search.pictures
        search.pictures = []
    search.slides.sort()
    return search


def strip_suffix(name: str) -> str:
    """A file name without the suffix of a slide or picture; dots that belong to the name stay."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or dot + suffix.lower() not in SLIDE_SUFFIXES | PICTURE_SUFFIXES:
        return name
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem


def _walk(folder: Path) -> Iterator[Path]:
    """Files below `folder`, each once, however many links lead to it."""
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        # The pixels of `X.mrxs` lie in the folder `X` beside it.
        parts_of = {Path(name).stem for name in files if name.lower().endswith(".mrxs")}
        folders[:] = sorted(name for name in folders if name not in parts_of and not name.startswith("."))
        for name in sorted(files):
            path = Path(here, name)
            if name.startswith(".") or not path.is_file():
                continue
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path


def _detect(paths: list[Path]) -> list[Path]:
    """Those of `paths` that OpenSlide takes for slides; a file that crashes it is not one."""
    try:
        return run_apart(_ask_openslide, paths[0], paths, seconds=DETECT_S)
    except UserError:
        if len(paths) == 1:
            return []
        return [path for single in paths for path in _detect([single])]


def _ask_openslide(_: Path, paths: list[Path]) -> list[Path]:
    return [path for path in paths if openslide.OpenSlide.detect_format(path)]
