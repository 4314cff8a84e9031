"""The slides that the demo draws, as the workflow sees them: one line of a sheet each."""

import csv
from collections.abc import Mapping
from pathlib import Path

from histossl.config.check import DRAWN
from histossl.config.sheets import SlideRow
from histossl.errors import UserError


def read_specifications(path: Path, slides: Mapping[str, SlideRow]) -> dict[str, dict[str, str]]:
    """The line of each slide to draw, by its id.

    Raises:
        UserError: the file is missing, or a slide of the sheet is to be drawn and has no line in it.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; correct `phantom: specification` in the config")
    with path.open(encoding="utf-8", newline="") as file:
        lines = {line["slide"]: line for line in csv.DictReader(file)}
    missing = [row.slide for row in slides.values() if row.path.startswith(DRAWN) and row.slide not in lines]
    if missing:
        raise UserError(f"{path}: has no line for the slide {missing[0]!r}, which is to be drawn; add one")
    return lines
