"""What a person should know about a sheet just written: what was found, and what could not be matched."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from histossl.cohort.find_slides import Search
from histossl.cohort.labels import LabelTable
from histossl.cohort.sheet import Sheet

MAX_NAMED = 20
"""So many are named in a list; the rest is counted. The sheet itself has them all."""
MAX_CLASSES = 10
SOURCES = {
    "pattern": "from --pattern",
    "barcode": "from TCGA barcodes",
    "table": "from the table of labels",
    "sheet": "as in the old sheet",
    "name": "unknown, so that each slide counts as a patient of its own",
}


def summarise(sheet: Sheet, search: Search, table: LabelTable | None) -> list[str]:
    """The lines to print, most important last; lists are cut after `MAX_NAMED`."""
    rows = list(sheet.rows.values())
    lines = [f"{len(rows)} slides of {len({row['patient'] for row in rows})} patients"]
    told = Counter(sheet.origins.values())
    lines += [f"  patient {text}: {_count(told[source], 'slide')}" for source, text in SOURCES.items() if told[source]]
    if told["name"]:
        lines.append("  give --pattern, or a column patient in the table: slides of one patient must stay together")
    lines += _shared_patients(rows)
    stated = Counter(row["found_spacing_source"] for row in rows if row["found_spacing_um"])
    lines += [f"  µm/px from {source}: {_count(count, 'slide')}" for source, count in stated.most_common()]
    if table:
        key = " and ".join(filter(None, [table.slide_head and f"column {table.slide_head!r}", table.patient_head]))
        lines.append(f"{table.path}: {_count(len(rows) - len(sheet.unlabelled), 'slide')} matched by {key}")
    lines += [_classes(column, rows) for column in sheet.labels]
    if search.pictures:
        count = _count(len(search.pictures), "picture")
        lines.append(f"not taken: {count} beside slides, e.g. {search.pictures[0]} (--pictures takes them)")
    if search.others:
        said = ", ".join(f"{suffix} {count}" for suffix, count in search.others.most_common(MAX_CLASSES))
        lines.append(f"not taken: {_count(search.others.total(), 'file')} that are no slides ({said})")
    lists = (
        ("not taken, unfinished downloads", map(str, search.unfinished)),
        ("not taken", sheet.left_out),
        ("kept from the old sheet", sheet.kept),
        ("taken off, the file is gone", sheet.gone),
        ("slides without a line of labels", sheet.unlabelled),
        ("lines of labels without a slide", sheet.matches.unused),
        ("labels that contradict each other", sheet.matches.conflicts),
        ("state no µm/px", [f"{row['slide']}: {row['problem']}" for row in rows if _lacks_spacing(row)]),
        ("cannot be opened", [row["problem"] for row in rows if row["problem"] and not row["width_px"]]),
    )
    for title, items in lists:
        lines += _list(title, list(items))
    return lines


def _lacks_spacing(row: dict[str, str]) -> bool:
    return bool(row["problem"] and row["width_px"])


def _shared_patients(rows: Sequence[dict[str, str]]) -> list[str]:
    sites = defaultdict(set)
    for row in rows:
        if row["site"]:
            sites[row["patient"]].add(row["site"])
    shared = [f"{patient} ({', '.join(sorted(at))})" for patient, at in sites.items() if len(at) > 1]
    return _list("patients at several sites; if they are different people, let the group patient hold the site", shared)


def _classes(column: str, rows: Sequence[dict[str, str]]) -> str:
    counts = Counter(row.get(column, "") for row in rows)
    blank = counts.pop("", 0)
    if len(counts) > MAX_CLASSES:
        said = f"{len(counts)} different values"
    else:
        said = ", ".join(f"{value} {count}" for value, count in counts.most_common()) or "no value"
    return f"  {column}: {said}" + (f", blank {blank}" if blank else "")


def _list(title: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    rest = [f"  and {len(items) - MAX_NAMED} more"] if len(items) > MAX_NAMED else []
    return [f"{title}: {len(items)}", *(f"  {item}" for item in items[:MAX_NAMED]), *rest]


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
