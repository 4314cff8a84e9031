"""Open each slide once and note its size and scale, a few at a time, each in a process that may crash."""

import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from histossl.errors import JobError, UserError
from histossl.progress import Progress
from histossl.slides.guard import run_apart
from histossl.slides.metadata import inspect_slide
from histossl.slides.reader import Slide
from histossl.slides.tiled_jpeg import load_decoder

OPEN_S = 30
"""Processor time for one slide."""
SENTINEL_UM = 1.0
"""Assumed where a slide states nothing, so that its size is reported all the same; never written anywhere."""


@dataclass(frozen=True)
class Examined:
    """One slide as it was found: `problem` is one sentence, empty where the workflow can use the slide as it is."""

    path: Path
    opened: bool
    width_px: int = 0
    height_px: int = 0
    spacing_um: float | None = None
    spacing_source: str = ""
    problem: str = ""
    series: str = ""
    """DICOM: which series the file belongs to."""
    own_name: str = ""
    """DICOM: the folder's name where the file's says nothing; else empty."""


def examine_slides(paths: Sequence[Path], processes: int) -> list[Examined]:
    """Open `paths`, say how it goes on standard error, and make one slide of each DICOM series.

    A crash in a decoder, too much memory or too much time is the `problem` of that slide alone.
    """
    load_decoder()  # here: each child would load it again, which takes as long as all else it does
    progress = Progress("sheet", len(paths), "files")
    found = []
    for examined in _each(paths, processes):
        found.append(examined)
        progress.advance()
    return group_series(found)


def examine_slide(path: Path) -> Examined:
    """Open one slide in a process of its own."""
    try:
        return run_apart(_look, path, seconds=OPEN_S)
    except UserError as error:
        return Examined(path, opened=False, problem=str(error))
    except JobError as error:  # one slide must not end a search through thousands
        return Examined(path, opened=False, problem=str(error))


def group_series(found: Sequence[Examined]) -> list[Examined]:
    """Keep one file of each DICOM series, and one of the `.dcm` files in a folder that cannot be opened.

    A series is named after its folder where it has the folder for itself: its files are often named by numbers alone.
    """
    kept: list[Examined] = []
    by_folder: dict[Path, dict[str, list[Examined]]] = defaultdict(lambda: defaultdict(list))
    for examined in found:
        if examined.series or examined.path.suffix.lower() == ".dcm":
            by_folder[examined.path.parent][examined.series].append(examined)
        else:
            kept.append(examined)
    for folder, series in by_folder.items():
        damaged = series.pop("", [])
        kept += [replace(files[0], own_name=folder.name if len(series) == 1 else "") for files in series.values()]
        if damaged and not series:
            rest = f" (and {len(damaged) - 1} more .dcm files of this folder)" if len(damaged) > 1 else ""
            kept.append(replace(damaged[0], own_name=folder.name, problem=damaged[0].problem + rest))
    return sorted(kept, key=lambda examined: examined.path)


def _each(paths: Sequence[Path], processes: int) -> Iterator[Examined]:
    if processes == 1:
        yield from map(examine_slide, paths)
        return
    # Processes, not threads: each forks, and a fork beside running threads may inherit a lock that nobody frees.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
        yield from pool.map(examine_slide, paths)


def _look(path: Path) -> Examined:
    metadata = inspect_slide(path.name, path, None, SENTINEL_UM)
    if metadata.status != "ok":
        return Examined(path, opened=False, problem=metadata.reason)
    stated = metadata.spacing_source != "assumed"
    refused = f" ({'; '.join(metadata.spacing_refused)})" if metadata.spacing_refused else ""
    return Examined(
        path,
        opened=True,
        width_px=metadata.width_px,
        height_px=metadata.height_px,
        spacing_um=metadata.spacing_um if stated else None,
        spacing_source=metadata.spacing_source if stated else "",
        problem="" if stated else f"states no usable µm/px{refused}; fill in spacing_um",
        series=_series(path) if metadata.vendor == "dicom" else "",
    )


def _series(path: Path) -> str:
    with Slide(path) as slide:
        return slide.properties.get("dicom.SeriesInstanceUID", "") or path.name
