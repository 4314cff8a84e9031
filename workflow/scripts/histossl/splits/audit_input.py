"""What an audit of splits reads: CLAM's files or ours, as they are, and whose each slide is."""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from histossl.cohort.barcodes import TCGA
from histossl.errors import UserError
from histossl.splits.clam import SETS, find_split_files, read_split_file
from histossl.splits.split_file import Member, read_members

SLIDE_COLUMNS, PATIENT_COLUMNS = ("slide", "slide_id"), ("patient", "case_id")
"""As our slide sheet calls them, and CLAM's table of a data set."""


@dataclass(frozen=True)
class Split:
    """One division of slides: the slides of train, val and test as the file has them."""

    repeat: int
    fraction: float
    fold: int
    slides: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class SplitFiles:
    """All splits that were read.

    Attributes:
        kind: whose format, in words.
        splits: in the order of the files.
        patients, labels: of each slide where the file says it, which CLAM's do not.
    """

    kind: str
    splits: Sequence[Split]
    patients: Mapping[str, str]
    labels: Mapping[str, str]

    @property
    def slides(self) -> list[str]:
        """Every slide that is named, once."""
        return sorted({slide for split in self.splits for name in SETS for slide in split.slides[name]})


def read_split_files(path: Path, known: Collection[str] = ()) -> SplitFiles:
    """Read a folder of CLAM's split files or of ours, or one of them.

    Args:
        path: of the folder or file.
        known: slide ids that stay as they are written, see `read_split_file`.

    Raises:
        UserError: nothing is there, or something else.
    """
    path = Path(path)
    if own := _find_own(path):
        return _read_own(own)
    if path.is_dir():
        found = find_split_files(path)
        splits = [_from_entries(fold, read_split_file(file, known)) for fold, file in found.items()]
        return SplitFiles(f"CLAM's format, {len(found)} file{'s' * (len(found) > 1)}", splits, {}, {})
    return SplitFiles("CLAM's format", [_from_entries(0, read_split_file(path, known))], {}, {})


def _find_own(path: Path) -> list[Path]:
    """Our files, one for each fraction: those of a folder that holds none of CLAM's, or the file itself."""
    if path.is_dir():
        files = [] if any(path.glob("splits_*.csv")) else sorted(path.glob("*.csv"))
    elif path.is_file():
        files = [path]
    else:
        raise UserError(f"{path}: no such file or folder; name a folder of split files, or one of them")
    return [file for file in files if "fold" in _read_header(file)]


def _read_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def _read_own(paths: Sequence[Path]) -> SplitFiles:
    members = [member for path in paths for member in read_members(path)]
    return SplitFiles(
        "this workflow's format",
        _from_members(members),
        {member.slide: member.patient for member in members},
        {member.slide: member.label for member in members},
    )


def _from_entries(fold: int, entries: Iterable[tuple[str, str]]) -> Split:
    slides: dict[str, list[str]] = {name: [] for name in SETS}
    for name, slide in entries:
        slides[name].append(slide)
    return Split(0, 1.0, fold, slides)


def _from_members(members: Iterable[Member]) -> list[Split]:
    entries: dict[tuple[int, float, int], list[tuple[str, str]]] = defaultdict(list)
    for member in members:
        entries[member[:3]].append((member.set, member.slide))
    return [
        Split(repeat, fraction, fold, _from_entries(fold, found).slides)
        for (repeat, fraction, fold), found in entries.items()
    ]


def name_patients(slides: Iterable[str], rule: str) -> dict[str, str]:
    """The patient of each slide by its id alone.

    Args:
        slides: their ids.
        rule: `tcga` takes the first three fields of a barcode, `slide` takes each slide for a patient of its own.

    Raises:
        UserError: an id is no barcode of TCGA's.
    """
    if rule == "slide":
        return {slide: slide for slide in slides}
    patients = {}
    for slide in slides:
        barcode = TCGA.match(slide)
        if barcode is None:
            raise UserError(
                f"the patient of slide {slide!r} cannot be told, for this is no TCGA barcode; give the slide sheet "
                "with --sheet, or `--patients slide` to look for slides alone"
            )
        patients[slide] = barcode[1].upper()
    return patients


def read_sheet(sheet: Path, label: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Patient and label of each slide, from our slide sheet or CLAM's table of a data set.

    Args:
        sheet: CSV with a column for slides and one for patients.
        label: column of the labels; None reads none.

    Raises:
        UserError: the file or a column is missing, or a slide has no patient or two.
    """
    try:
        with Path(sheet).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{sheet}: cannot be read as CSV in UTF-8 ({error}); correct --sheet") from error
    slide, patient = (_find_column(names, columns, sheet) for names in (SLIDE_COLUMNS, PATIENT_COLUMNS))
    column = label and _find_column([label], columns, sheet)
    patients, labels = {}, {}
    for row in rows:
        name, owner = (row[slide] or "").strip(), (row[patient] or "").strip()
        if not owner:
            raise UserError(f"{sheet}: slide {name!r} has no patient; fill the column {patient!r}")
        if (other := patients.setdefault(name, owner)) != owner:
            raise UserError(f"{sheet}: slide {name!r} is of patients {other!r} and {owner!r}; keep one row of it")
        if column:
            labels[name] = (row[column] or "").strip()
    return patients, labels


def _find_column(names: Sequence[str], columns: Collection[str], sheet: Path) -> str:
    for name in names:
        if name in columns:
            return name
    raise UserError(
        f"{sheet}: has no column {' or '.join(map(repr, names))} (it has {', '.join(columns) or 'nothing'})"
    )
