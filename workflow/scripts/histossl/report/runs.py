"""The page of runs: when, with which command, code, packages and configuration, and on which machines."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from histossl.devices.machine import read_machines
from histossl.errors import UserError
from histossl.report.costs import GPU_STAGES
from histossl.tables.render import Figures, Section

NOTES = (
    "Each run of Snakemake that found something to do has its line, oldest first; the results may be of several. jobs: "
    "how many logs it was the last to write. A result that a change of the code or the configuration would alter was "
    "made anew after it, so that all are of the last commit and the last configuration; what may be older are versions "
    "of packages, threads and devices.",
    "changed files: tracked files of the workflow that differed from the commit when the run began.",
    "Packages are those of Snakemake's own environment; with --sdm conda, jobs use the versions that envs/ pins.",
)


KEYS = {"started", "timestamp", "command", "executor", "commit", "changed_files", "machine", "packages", "config"}
"""Of a record, which the page shows."""


def read_records(folder: Path) -> list[dict[str, Any]]:
    """What `record_run` has written, oldest first.

    Raises:
        UserError: a record is damaged.
    """
    records = []
    for path in sorted(folder.glob("[0-9]*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if missing := KEYS - record.keys():
                raise ValueError(f"without {min(missing)!r}")
            records.append({**record, "timestamp": float(record["timestamp"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a readable record of a run ({error}); delete it and rerun") from error
    return records


def run_sections(records: Sequence[Mapping[str, Any]], logs: Path) -> list[Section]:
    """The page's tables: runs, machines of jobs that may use a GPU, seeds, packages, configuration.

    Args:
        records: of `read_records`.
        logs: folder with a log for each job.
    """
    if not records:
        return []
    packages = [record["packages"] for record in records]
    configs = [dict(flatten(record["config"])) for record in records]
    seeds = {key: value for key, value in configs[-1].items() if key.rpartition(".")[2] == "seed"}
    started = [record["started"] for record in records]
    return [
        Section("Runs", RUN_COLUMNS, _runs(records, logs), 1),
        Section("Commands", ["started (UTC)", "command"], [[each["started"], each["command"]] for each in records], 1),
        *_machines(logs),
        Section("Seeds", ["key", "seed"], [[key, Figures(value)] for key, value in seeds.items()], 1),
        Section("Packages", ["package", "version", "in earlier runs"], _latest(packages, started), 1),
        Section("Configuration, defaults filled in", ["key", "value", "in earlier runs"], _latest(configs, started), 1),
    ]


RUN_COLUMNS = ["started (UTC)", "jobs", "commit", "changed files", "executor", "host", "processor", "cores"]
RUN_COLUMNS += ["memory, GB", "GPUs", "sheet, SHA-256"]


def _runs(records: Sequence[Mapping[str, Any]], logs: Path) -> list[list[str]]:
    written = [path.stat().st_mtime for path in logs.rglob("*.log")]
    begins = [record["timestamp"] for record in records]
    rows = []
    for record, begin, end in zip(records, begins, [*begins[1:], float("inf")], strict=True):
        machine = record["machine"]
        row = [
            record["started"],
            Figures(sum(begin <= time < end for time in written)),
            record["commit"][:12] if record["commit"] else "not a git checkout",
            Figures("" if record["changed_files"] is None else record["changed_files"]),
            record["executor"],
            machine["host"],
            machine["processor"],
            Figures(machine["cores"]),
            Figures(machine["memory_gb"] or ""),
            "; ".join(machine["gpus"]) or "none",
            record["sheet_sha256"][:12],
        ]
        rows.append(row)
    if before := sum(time < begins[0] for time in written):
        rows.insert(0, ["earlier, no record", Figures(before), *[Figures("")] * (len(RUN_COLUMNS) - 2)])
    return rows


def _machines(logs: Path) -> list[Section]:
    """Where jobs ran that may use a GPU, by their logs; nothing where none says so."""
    found: Counter[tuple[str, ...]] = Counter()
    for stage in GPU_STAGES:
        for log in sorted((logs / stage).rglob("*.log")):
            for machine in read_machines(log):
                gpus = "; ".join(f"{count} × {name}" for name, count in Counter(machine["gpus"]).items())
                found[stage, machine["host"], machine["processor"], gpus or "none"] += 1
    rows = [[*machine, Figures(count)] for machine, count in found.items()]
    return [Section("Where networks ran", ["stage", "host", "processor", "GPUs", "jobs"], rows, 1)] if rows else []


def flatten(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Each key of nested dictionaries with dots between, and its value as text; lists stay whole."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from flatten(part, f"{key}.{name}" if key else str(name))
    else:
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _latest(values: Sequence[Mapping[str, str]], started: Sequence[str]) -> list[list[str]]:
    """Rows of the latest run's values, and where earlier ones had others: which, and up to which run."""
    rows = []
    for key in dict.fromkeys(name for each in reversed(values) for name in each):
        now = values[-1].get(key, "")
        earlier: dict[str, str] = {}
        for each, start in zip(values[:-1], started[:-1], strict=True):
            if (then := each.get(key, "")) != now:
                earlier[then or "(not there)"] = start
        rows.append([key, now, "; ".join(f"{then} (until the run of {start})" for then, start in earlier.items())])
    return rows
