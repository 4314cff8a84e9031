"""Which feature file of CLAM or TRIDENT belongs to which slide."""

from collections.abc import Mapping
from pathlib import Path

from histossl.errors import UserError

PLACES = (("pt_files", ".pt"), ("", ".pt"), ("h5_files", ".h5"), ("", ".h5"))
"""Folders below the one that is named, and endings; later ones go before, because `.pt` holds no coordinates."""


def find_feature_files(folder: Path, slides: Mapping[str, str]) -> dict[str, Path]:
    """The feature file of each slide that has one, in the order of `slides`.

    A file is called like the slide's id or like its file, without the ending: TRIDENT writes `{folder}/{name}.h5` (or
    `.pt`), CLAM `{folder}/h5_files/{name}.h5` and `{folder}/pt_files/{name}.pt`.

    Args:
        folder: where they are.
        slides: the path of each slide's file, by id.

    Raises:
        UserError: there is no such folder, it has no file of any slide, or two slides share one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of feature files; correct the path")
    found: dict[str, Path] = {}
    for below, ending in PLACES:
        place = folder / below
        if place.is_dir():
            found |= {path.name.removesuffix(ending): path for path in place.iterdir() if path.name.endswith(ending)}
    owners: dict[Path, str] = {}
    for slide, path in slides.items():
        # TRIDENT takes away both endings of `.ome.tif`.
        names = (slide, Path(path).stem, Path(path).stem.removesuffix(".ome"))
        file = next((found[name] for name in names if name in found), None)
        if file is None:
            continue
        if file in owners:
            raise UserError(f"{file} fits both slide {owners[file]!r} and slide {slide!r}; name such files by slide id")
        owners[file] = slide
    if not owners:
        raise UserError(
            f"{folder}: has no feature file of any slide of the sheet; name TRIDENT's features_* or the folder that "
            "CLAM's h5_files is in"
        )
    return {slide: file for file, slide in owners.items()}
