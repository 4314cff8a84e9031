"""What encoders cost, as far as stored files say: hours of pretraining, images embedded a second, parameters."""

import csv
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

from histossl.errors import UserError
from histossl.files import whole_file

PROCESSES = re.compile(r" (\d+) process\(es\) on (\w+)$", re.MULTILINE)
"""How a pretraining job says in its log what it runs on; see `histossl.ssl.training_log`."""
RATE = re.compile(r"(?:(\d+)/\1) \w+, (\d+) images/s, took ")
"""The last line of an embedding job's log that embedded anything; see `histossl.progress`."""


@dataclass(frozen=True)
class Cost:
    """One encoder; None is what is not known, or not spent here.

    Attributes:
        encoder: its name.
        parameters: of the network.
        hours: of pretraining, of all processes together: GPU hours where `device` is cuda, one GPU a process.
        device: `cuda` or `cpu`, of pretraining.
        images_per_s: embedded by one job, the median over the encoder's jobs.
    """

    encoder: str
    parameters: int | None = None
    hours: float | None = None
    device: str | None = None
    images_per_s: float | None = None


def training_hours(curve: Path, log: Path) -> tuple[float | None, str | None]:
    """Hours that a run took, all its starts together, times its processes; and their device.

    The benchmark file knows only the last start of a run that was broken off.

    Args:
        curve: `training.jsonl`.
        log: of the job; without it neither is known.
    """
    if not log.is_file():
        return None, None
    found = PROCESSES.findall(log.read_text(encoding="utf-8", errors="replace"))
    if not found:
        return None, None
    count, device = found[-1]
    try:
        last = json.loads(curve.read_text(encoding="utf-8").splitlines()[-1])
        return last["hours"] * int(count), device
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{curve}: not a readable training curve ({error}); delete it and rerun") from error


def embedding_rate(logs: Iterable[Path]) -> float | None:
    """Median over embedding jobs of images/s; None where no job has embedded anything."""
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    found = [RATE.findall(text) for text in texts]
    rates = [int(rates[-1][1]) for rates in found if rates]
    return float(median(rates)) if rates and max(rates) > 0 else None


def write_costs(path: Path, costs: Iterable[Cost]) -> None:
    """Write a line an encoder, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Cost)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(cost) for cost in costs)


def read_costs(path: Path) -> dict[str, Cost]:
    """By encoder.

    Raises:
        UserError: the file is not one of `write_costs`.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["encoder"]: _read_row(row) for row in csv.DictReader(file)}
    except (OSError, LookupError, ValueError) as error:
        raise UserError(f"{path}: not a readable table of costs ({error}); delete it and rerun") from error


def _read_row(row: Mapping[str, str]) -> Cost:
    numbers = {name: float(row[name]) if row[name] else None for name in ("hours", "images_per_s")}
    parameters = int(row["parameters"]) if row["parameters"] else None
    return Cost(row["encoder"], parameters, device=row["device"] or None, **numbers)
