"""The lines of the slide sheet: what was found, what a table says, and what was filled in by hand before."""

import csv
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from histossl.cohort.barcodes import Origin, find_origin
from histossl.cohort.examine import Examined
from histossl.cohort.labels import LabelTable, Matches, Named, match_patients, match_slides
from histossl.cohort.names import find_path_problem, name_slides
from histossl.config.sheets import SlideRow, read_slide_sheet
from histossl.errors import UserError
from histossl.files import whole_file

FOUND = (
    "width_px",
    "height_px",
    "found_spacing_um",
    "found_spacing_source",
    "problem",
)
"""Filled in by the command alone."""
COLUMNS = ("slide", "patient", "path", "site", "spacing_um", *FOUND)


@dataclass
class Sheet:
    """The lines to write, by slide id, and what a person should know about them.

    Attributes:
        rows: values by column.
        labels: names of the label columns.
        origins: what told the patient of each slide: `pattern`, `barcode`, `table`, `name` or `sheet`.
        left_out: files that cannot stand in a sheet, each with the reason.
        unlabelled: slides that the table does not mention.
        matches: what of the table could not be used.
        kept: values of the old sheet that differ from what was found now, and stay.
        gone: slides of the old sheet whose file is not there any more; they are left out.
    """

    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    matches: Matches = field(default_factory=Matches)
    kept: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def build_sheet(
    found: Sequence[Examined],
    folder: Path,
    home: Path | None,
    pattern: object | None,
    table: LabelTable | None,
    old: Mapping[Path, SlideRow] | None = None,
) -> Sheet:
    """Put the lines together.

    Args:
        found: the slides below `folder`.
        folder: the folder that was searched.
        home: paths are written relative to this folder, the one that Snakemake will run in; None writes whole paths.
        pattern: as `histossl.cohort.barcodes.compile_pattern` gives it.
        table: labels, matched to slides or patients.
        old: the sheet so far, by whole path; its ids and what was filled in by hand stay.
    """
    old = old or {}
    sheet = Sheet(labels=tuple(c for c in table.columns if c not in COLUMNS) if table else ())
    paths = {examined.path: _write_path(examined.path, home) for examined in found}
    usable = []
    for examined in found:
        problem = find_path_problem(paths[examined.path])
        if problem:
            sheet.left_out.append(f"{str(examined.path)!r}: {problem}; rename the file")
        else:
            usable.append(examined)
    known = {examined.path: old[key].slide for examined in usable if (key := whole_path(examined.path)) in old}
    fresh = {examined.path: examined.own_name for examined in usable if examined.path not in known}
    ids = known | name_slides(fresh, folder, [row.slide for row in old.values()])

    relative = {examined.path: examined.path.relative_to(folder).as_posix() for examined in usable}
    origins = {ids[path]: find_origin(text, ids[path], pattern) for path, text in relative.items()}
    named = [Named(ids[path], text, origins[ids[path]].patient) for path, text in relative.items()]
    if table:
        origins = _match(sheet, table, named, origins)
    for examined in usable:
        slide = ids[examined.path]
        values = sheet.matches.values.get(slide, {})
        row = {
            "slide": slide,
            "patient": origins[slide].patient,
            "path": paths[examined.path],
            "site": values.get("site") or origins[slide].site,
            "spacing_um": values.get("spacing_um", ""),
            "width_px": str(examined.width_px or ""),
            "height_px": str(examined.height_px or ""),
            "found_spacing_um": f"{examined.spacing_um:.6g}" if examined.spacing_um else "",
            "found_spacing_source": examined.spacing_source,
            "problem": examined.problem,
            **{column: values.get(column, "") for column in sheet.labels},
        }
        sheet.origins[slide] = origins[slide].source
        if examined.path in known:
            _keep(sheet, row, old[whole_path(examined.path)], origins[slide].source)
        if row["spacing_um"] and examined.opened and not examined.spacing_um:
            row["problem"] = ""  # the user has stated what the file does not
        sheet.rows[slide] = row
    _keep_others(sheet, old, {whole_path(examined.path) for examined in found})
    if len(sheet.gone) > len(old) / 2:
        raise UserError(
            f"{len(sheet.gone)} of the sheet's {len(old)} files are gone, {sheet.gone[0]!r} first; is their disk "
            "mounted and --relative-to as it was? To start afresh give --force"
        )
    sheet.rows = dict(sorted(sheet.rows.items()))
    return sheet


def read_old_sheet(path: Path, home: Path | None) -> dict[Path, SlideRow]:
    """The sheet so far by whole path; its relative paths start from `home`, or from where the command runs.

    Raises:
        UserError: it cannot be used as a sheet.
    """
    return {whole_path(Path(home or ".") / row.path): row for row in read_slide_sheet(path).values()}


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write the sheet as CSV in UTF-8, whole or not at all, after reading it back as the workflow will.

    Raises:
        UserError: the workflow would refuse the sheet.
    """
    columns = [*COLUMNS, *sheet.labels]
    with whole_file(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(sheet.rows.values())
        try:
            read_slide_sheet(temporary)
        except UserError as error:
            raise UserError(str(error).replace(str(temporary), str(path))) from error


def whole_path(path: Path) -> Path:
    """Absolute, links kept: what a link is called may hold the barcode that its target lacks."""
    return Path(os.path.normpath(Path.cwd() / path))


def _match(sheet: Sheet, table: LabelTable, named: Sequence[Named], origins: dict[str, Origin]) -> dict[str, Origin]:
    """Fill in `sheet.matches` and return the origins with the patients that the table gives."""
    by_slide = match_slides(table, named)
    told = {
        slide: Origin(values["patient"], origins[slide].site, "table")
        for slide, values in by_slide.values.items()
        if values.get("patient") and origins[slide].source != "pattern"
    }
    origins = origins | told
    by_patient = match_patients(table, [Named(n.slide, n.relative_path, origins[n.slide].patient) for n in named])
    merged: dict[str, dict[str, str]] = defaultdict(dict)
    # A line on a slide says more than one on its patient.
    for values in (by_patient.values, by_slide.values):
        for slide, columns in values.items():
            merged[slide] |= columns
    sheet.matches = Matches(
        dict(merged), by_slide.unused + by_patient.unused, by_slide.conflicts + by_patient.conflicts
    )
    sheet.unlabelled = [n.slide for n in named if n.slide not in merged]
    return origins


def _keep(sheet: Sheet, row: dict[str, str], old: SlideRow, source: str) -> None:
    """Put what the old sheet has over what was found now, and note where they differ."""
    if old.columns["patient"] != row["patient"] or source == "name":
        sheet.origins[row["slide"]] = "sheet"
    for column, value in old.columns.items():
        if column in FOUND or column in ("slide", "path") or not value:
            continue
        if column not in row:
            sheet.labels = tuple(dict.fromkeys([*sheet.labels, column]))
        elif row[column] not in ("", value) and not (column == "patient" and source == "name"):
            sheet.kept.append(f"{column} of {row['slide']!r} stays {value!r}, not {row[column]!r}")
        row[column] = value


def _keep_others(sheet: Sheet, old: Mapping[Path, SlideRow], found: set[Path]) -> None:
    """Slides of the old sheet from elsewhere stay as they are; those whose file is gone would stop the workflow."""
    for path, line in old.items():
        if path in found:
            continue
        if not path.exists():
            sheet.gone.append(line.slide)
            continue
        others = [c for c in line.columns if c not in COLUMNS]
        sheet.labels = tuple(dict.fromkeys([*sheet.labels, *others]))
        sheet.rows[line.slide] = {column: line.columns.get(column, "") for column in dict.fromkeys([*COLUMNS, *others])}
        sheet.origins[line.slide] = "sheet"


def _write_path(path: Path, home: Path | None) -> str:
    if home is None:
        return str(whole_path(path))
    relative = os.path.relpath(whole_path(path), whole_path(home))
    # The sheet refuses a leading dash, which a command would take for an option.
    return f"./{relative}" if relative.startswith("-") else relative
