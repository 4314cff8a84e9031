"""Slides that are missing somewhere, each with the first stage that missed it and why."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from histossl.errors import UserError
from histossl.tiles.shards import read_shard_reason

COLUMNS = ("slide", "stage", "reason")
PRESENT = ("ok", "relaxed")
"""The cohort table's status of slides that have patches."""
SHOWN = 20
"""Slides named at the end of a run."""
Missing = tuple[str, str, str]
"""Slide id, stage, reason."""


def missing_in_cohort(table: Path) -> Iterator[Missing]:
    """Slides that the cohort table lists without a patch.

    Raises:
        UserError: the table is missing or is none.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] not in PRESENT:
                    yield row["slide"], "tile_slide", row["reason"]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UserError(f"{table}: not a readable cohort table ({error}); delete it and rerun") from error


def missing_in_shards(shards: Iterable[Path]) -> Iterator[Missing]:
    """Slides whose patches could not be packed for training."""
    for path in shards:
        reason = read_shard_reason(path)
        if reason:
            yield path.stem, "pack_tiles", reason


def missing_in_features(manifests: Iterable[Path]) -> Iterator[Missing]:
    """Slides that could not be embedded, from the manifests of `embed_slides`.

    Raises:
        UserError: a manifest is missing or damaged.
    """
    for path in manifests:
        try:
            for line in json.loads(path.read_text(encoding="utf-8")):
                if line["reason"]:
                    yield line["slide"], "embed_slides", line["reason"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a readable manifest ({error}); delete it and rerun") from error


def list_missing(stages: Iterable[Iterable[Missing]]) -> list[Missing]:
    """One line a slide, from the first stage that names it, in the order met."""
    found: dict[str, Missing] = {}
    for stage in stages:
        for missing in stage:
            found.setdefault(missing[0], missing)
    return list(found.values())


def print_left_out(results: Path) -> None:
    """Name the slides left out, at the end of a run.

    Reads the list of `list_left_out`, or the cohort table where the run made that alone.
    """
    cohort, listed = results / "tables/cohort.csv", results / "tables/left_out.csv"
    if listed.is_file() and (not cohort.is_file() or listed.stat().st_mtime >= cohort.stat().st_mtime):
        with listed.open(encoding="utf-8", newline="") as file:
            missing = [(row["slide"], row["stage"], row["reason"]) for row in csv.DictReader(file)]
    else:
        missing = list(missing_in_cohort(cohort)) if cohort.is_file() else []
    lines = [f"  {slide}: {reason}" for slide, _, reason in missing[:SHOWN]]
    if len(missing) > SHOWN:
        lines.append(f"  and {len(missing) - SHOWN} more, see {results / 'tables'}")
    if missing:
        print(
            "1 slide was left out:" if len(missing) == 1 else f"{len(missing)} slides were left out:", *lines, sep="\n"
        )
