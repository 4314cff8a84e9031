"""The last lines of a run. Read at each start of the workflow too, so nothing heavy is imported here."""

import csv
from collections.abc import Iterator
from pathlib import Path

from histossl.errors import UserError

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
