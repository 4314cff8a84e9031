"""Our figures beside those that a study published, in the layout of its tables."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from histossl.errors import UserError
from histossl.statistics import metrics
from histossl.statistics.metrics import Floats
from histossl.statistics.spread import mean_and_sd
from histossl.tables.figures import FIGURES, fold_aucs
from histossl.tables.kinds import KINDS
from histossl.tables.predictions import Row, class_names, read_predictions
from histossl.tables.published import Published, PublishedTable
from histossl.tables.render import Figures, Section

RELEASED_TAU = "released_tau"


class Cell(NamedTuple):
    """A figure and its standard deviation over folds; NaN where there is none."""

    value: float
    sd: float = math.nan


NOTHING = Cell(math.nan)


class Ours(NamedTuple):
    """What stands for a published method in a published table: its name, and its cell in each column."""

    name: str
    cells: Mapping[str, Cell]
    classes: tuple[str, ...] = ()


Results = Mapping[tuple[str, str], Ours]
"""By published table and method."""


def compute_results(
    published: Published, study: Mapping[str, Any], predictions: Mapping[str, Sequence[Path]]
) -> dict[tuple[str, str], Ours]:
    """Our figures from stored predictions.

    Args:
        published: the study's tables.
        study: the config's `study`: which encoder stands for which method, which task for which table.
        predictions: prediction files of each kind.
    """
    methods = {
        kind: read_predictions(paths, KINDS[kind].identity, KINDS[kind].key) for kind, paths in predictions.items()
    }
    results = {}
    for name, task in study["tables"].items():
        table = published.tables[name]
        for method, encoder in study["methods"].items():
            head = task["model"] if table.kind == "slide" else task["probe"]
            # A slide task has one set of rows for each training fraction, a patch task has one.
            rows = {
                identity[3:]: rows
                for identity, rows in methods.get(table.kind, {}).items()
                if identity[:3] == (task["task"], encoder, head)
            }
            if rows:
                cells = slide_cells(table, rows) if table.kind == "slide" else patch_cells(table, rows[()])
                results[name, method] = Ours(encoder, cells, tuple(class_names(next(iter(rows.values())))))
    return results


def slide_cells(table: PublishedTable, rows: Mapping[tuple[str, ...], Sequence[Row]]) -> dict[str, Cell]:
    """Mean and standard deviation of the folds' AUCs for each training fraction."""
    folds = {float(fraction): fold_aucs(list(inside)) for (fraction,), inside in rows.items()}
    return {heading: Cell(*mean_and_sd(folds.get(float(share), ()))) for heading, share in table.columns.items()}


def patch_cells(table: PublishedTable, rows: Sequence[Row]) -> dict[str, Cell]:
    """The figures of one probe."""
    names, figures = FIGURES[table.kind](rows)
    values = dict(zip(names, map(float, figures(metrics.ones(len(rows)))[0]), strict=True))
    if RELEASED_TAU in table.columns.values():
        target, prediction = (np.array([float(row[side]) for row in rows]) for side in ("target", "prediction"))
        values[RELEASED_TAU] = released_tau(target, prediction)
    return {heading: Cell(values.get(figure, math.nan)) for heading, figure in table.columns.items()}


def released_tau(target: Floats, prediction: Floats) -> float:
    """What `kendalltau_bpq` of Chen and Krishnan's repository returns, which they print as Kendall's tau.

    It is meant to be a prediction probability, (C + T/2) / (C + D + T) of the C concordant and D discordant pairs and
    the T pairs whose predictions are equal. Its C, however, holds the discordant pairs too, and its T the pairs whose
    targets are equal as well: (C + D + T/2) / (C + 2 D + T). Without equal predictions that is 1 / (2 - P_K): 2/3 for
    a guess, 1/2 for an order turned round.
    """
    agreement = np.sign(target[:, None] - target) * np.sign(prediction[:, None] - prediction)
    first, second = np.triu_indices(len(target), 1)
    ordered, discordant = (agreement[first, second] != 0).sum(), (agreement[first, second] < 0).sum()
    tied = (prediction[first] == prediction[second]).sum()
    return float(metrics.divide(np.float64(ordered + tied / 2), np.float64(ordered + discordant + tied)))


def read_folds(path: Path, published: Published) -> dict[tuple[str, str], Ours]:
    """The figures of a study's own results: `encoder,train_fraction,fold,test_auc`, a row a fold.

    Raises:
        UserError: a column is not there, or a figure is no number.
    """
    folds: dict[tuple[str, float], list[float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                method = row["encoder"], float(row["train_fraction"])
                folds.setdefault(method, []).append(float(row["test_auc"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not the results of folds ({error!r}); give a CSV with encoder,train_fraction,fold,test_auc"
        ) from error
    return {
        (name, key): Ours(
            method.files,
            {
                heading: Cell(*mean_and_sd(folds.get((method.files, float(share)), ())))
                for heading, share in table.columns.items()
            },
        )
        for name, table in published.tables.items()
        if table.kind == "slide"
        for key, method in published.methods.items()
    }


def study_sections(published: Published, results: Results) -> list[Section]:
    """The study's tables: of each method what was published, ours, and the difference."""
    titles = dict.fromkeys(table.title for table in published.tables.values())
    return [
        title_section(published, {name: t for name, t in published.tables.items() if t.title == title}, results)
        for title in titles
    ]


def title_section(published: Published, tables: Mapping[str, PublishedTable], results: Results) -> Section:
    """The tables of one title, below each other."""
    rows: list[list[str]] = []
    for name, table in tables.items():
        for method in table.values:
            lead = [published.methods[method].name, *table.arm.values()]
            theirs = published_cells(table, method)
            rows.append([*lead, "published", *(Figures(with_sd(cell)) for cell in theirs.values())])
            if (name, method) in results:
                ours = results[name, method]
                mine = [ours.cells[heading] for heading in table.columns]
                rows.append([*lead, ours.name, *(Figures(with_sd(cell)) for cell in mine)])
                pairs = zip(mine, theirs.values(), strict=True)
                rows.append([*lead, "difference", *(Figures(difference(*pair)) for pair in pairs)])
    table = next(iter(tables.values()))
    columns = ["method", *table.arm, "figures", *table.columns]
    return Section(table.title, columns, rows, len(columns) - len(table.columns))


def published_cells(table: PublishedTable, method: str) -> dict[str, Cell]:
    """The published cell of a method under each heading."""
    spread = table.sd.get(method, [math.nan] * len(table.columns))
    return {
        heading: Cell(*pair)
        for heading, pair in zip(table.columns, zip(table.values[method], spread, strict=True), strict=True)
    }


def inside(ours: Cell, theirs: Cell) -> bool | None:
    """Whether ours lies within one published standard deviation of the published figure; None where there is none."""
    apart = abs(ours.value - theirs.value)
    return None if math.isnan(apart) or math.isnan(theirs.sd) else apart <= theirs.sd


def with_sd(cell: Cell) -> str:
    """`0.886 ± 0.059`, without what there is none of."""
    if math.isnan(cell.value):
        return ""
    return f"{cell.value:.3f}" + ("" if math.isnan(cell.sd) else f" ± {cell.sd:.3f}")


def difference(ours: Cell, theirs: Cell) -> str:
    """`-0.004 inside`: ours minus the published figure, and where it lies."""
    if math.isnan(ours.value):
        return ""
    place = {True: " inside", False: " outside", None: ""}[inside(ours, theirs)]
    return f"{round(ours.value - theirs.value, 3) + 0.0:+.3f}{place}"  # + 0.0: no minus before 0.000


def study_notes(published: Published, study: Mapping[str, Any], results: Results) -> list[str]:
    """What is compared with what, what the marks mean, and what the study did otherwise."""
    names = "; ".join(f"{method.name}: {method.about}" for method in published.methods.values())
    lines = [
        f"Published: {published.citation}; where each figure is from stands in config/published. {names}.",
        "difference: ours minus published; inside or outside one published SD of it. The SD is over folds and says how "
        "much single folds differ, not how well their mean is known.",
    ]
    differs: dict[str, None] = {}
    for name, table in published.tables.items():
        arm = "".join(f", {heading} {entry}" for heading, entry in table.arm.items())
        if name in study["tables"]:
            compared = study["tables"][name]
            head = compared.get("model") or compared.get("probe")
            lines.append(f"{table.title}{arm}: compared with {compared['task']} by {head}.")
        classes = {label for (of, _), ours in results.items() if of == name for label in ours.classes}
        named = {figure[4:-1] for figure in table.columns.values() if figure.startswith("auc[")}
        if named and classes and classes != named:
            other = ", ".join(sorted(classes ^ named))
            lines.append(f"{table.title}{arm}: our classes are not the published ones; in one of them alone: {other}.")
        differs[table.differs] = None
    return [*lines, *differs]


def study_records(published: Published, results: Results) -> list[dict[str, str]]:
    """A row a cell, for the CSV."""

    def plain(value: float) -> str:
        return "" if math.isnan(value) else f"{value:.6f}"

    records = []
    for name, table in published.tables.items():
        for method in table.values:
            ours = results.get((name, method), Ours("", {}))
            for heading, theirs in published_cells(table, method).items():
                cell = ours.cells.get(heading, NOTHING)
                within = inside(cell, theirs)
                records.append(
                    {
                        "table": name,
                        "method": method,
                        "encoder": ours.name,
                        "column": heading,
                        "published": plain(theirs.value),
                        "published_sd": plain(theirs.sd),
                        "ours": plain(cell.value),
                        "ours_sd": plain(cell.sd),
                        "difference": plain(cell.value - theirs.value),
                        "inside_published_sd": "" if within is None else str(within).lower(),
                    }
                )
    return records
