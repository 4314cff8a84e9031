"""What the tables' CSV files say of each encoder, for figures: see `histossl.tables.records`."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from histossl.errors import UserError
from histossl.tables.pairs import SMALLER_IS_BETTER
from histossl.tables.sections import COMPARED, HEADINGS, head_name


class Interval(NamedTuple):
    """A value with the ends of its interval; NaN where undefined."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is a value to draw."""
        return math.isfinite(self.value)

    @property
    def arms(self) -> tuple[float, float]:
        """How far the interval reaches below and above the value; 0 where it is undefined.

        Never below 0: an interval that corrects for bias may lie beside its value.
        """
        ends = (self.value - self.low, self.high - self.value)
        return ends[0] if ends[0] > 0 else 0.0, ends[1] if ends[1] > 0 else 0.0


@dataclass(frozen=True)
class Result:
    """One encoder on one task with one head.

    Attributes:
        task: name of the task.
        encoder: name of the encoder.
        head: of the slide model or the probe.
        fraction: share of the training patients; 1 for patch tasks.
        figure: the figure that encoders are compared by.
        difference: figure minus the control's.
        control: the encoder that it is the difference to; empty without one.
        verdict: see `histossl.tables.pairs.verdicts`.
    """

    task: str
    encoder: str
    head: str
    fraction: float
    figure: Interval
    difference: Interval
    control: str
    verdict: str


def read_results(path: Path, kind: str) -> list[Result]:
    """The rows of a table, in its order.

    Args:
        path: `tables/{kind}.csv`.
        kind: one of `histossl.tables.kinds.KINDS`.

    Raises:
        UserError: the file is not such a table.
    """
    name = COMPARED[kind][0]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                Result(
                    *(row["task"], row["encoder"], row[head_name(kind)], float(row.get("fraction") or 1)),
                    *(read_interval(row, name), read_interval(row, f"{name}_difference")),
                    *(row["control"], row["vs_best"]),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a readable table of the kind '{kind}' ({error}); delete it and rerun") from error


def read_interval(row: Mapping[str, str], name: str) -> Interval:
    """A figure of a row."""
    return Interval(*(float(row[cell] or "nan") for cell in (name, f"{name}_low", f"{name}_high")))


def of_task(results: Iterable[Result], task: str) -> list[Result]:
    """Of a task, those with the largest training fraction."""
    own = [result for result in results if result.task == task]
    largest = max((result.fraction for result in own), default=1.0)
    return [result for result in own if result.fraction == largest]


def heads_of(results: Sequence[Result]) -> list[str]:
    """The heads, in order."""
    return list(dict.fromkeys(result.head for result in results))


def axis_label(kind: str) -> str:
    """What the compared figure of a kind is called on an axis."""
    name = COMPARED[kind][0]
    return AXES.get(name, HEADINGS[name]) + (" (smaller is better)" if name in SMALLER_IS_BETTER else "")


AXES = {
    "auc": "macro AUC",
    "balanced_accuracy": "balanced accuracy",
    "mean_average_precision": "mean average precision",
    "mse": "mean squared error",
}
