"""The tables as CSV: every figure with its interval in six decimals, and every pair of encoders."""

import math
from collections.abc import Sequence

from histossl.statistics.spread import mean_and_sd
from histossl.tables.comparison import Estimate, Judged
from histossl.tables.pairs import Pair, verdicts
from histossl.tables.render import csv_table
from histossl.tables.sections import COMPARED, head_name


def csv_text(kind: str, judged: Sequence[Judged], pairs: Sequence[Pair], level: float) -> str:
    """Every figure with its interval, a row a method; `_low` and `_high` are the ends of the interval."""
    standing = verdicts(judged, pairs, level)
    return csv_table([csv_record(kind, method, verdict) for method, verdict in zip(judged, standing, strict=True)])


def csv_record(kind: str, method: Judged, verdict: str) -> dict[str, str]:
    """One row of the CSV table."""
    rows, clusters = ("slides", "patients") if kind == "slide" else ("patches", "groups")
    record = {"task": method.task, "encoder": method.encoder, head_name(kind): method.head}
    if kind == "slide":
        record["fraction"] = method.fraction
    record["stain"] = method.stain
    record |= {rows: str(method.rows), clusters: str(method.clusters), "control": method.control}
    record[f"{clusters}_seen"] = str(method.seen[0]) if method.seen else ""
    if kind == "slide":
        record |= {"tests_leaked": str(method.leaked[0]), "tests": str(method.leaked[1])}
    record["vs_best"] = verdict
    name, (mean, spread) = COMPARED[kind][0], mean_and_sd(method.folds)
    record |= {"folds": str(len(method.folds)), "folds_left_out": str(method.folds_left_out)}
    record |= {f"{name}_folds_mean": plain(mean), f"{name}_folds_sd": plain(spread)}
    record["variance_factor"] = f"{method.measured.variance_factor:g}"
    for name in COMPARED[kind]:
        estimate = method.differences.get(name, Estimate(math.nan, math.nan, math.nan))
        record |= ends(f"{name}_difference", estimate)
        record[f"{name}_differs"] = str(estimate.excludes_zero).lower() if name in method.differences else ""
    for name, estimate in method.figures.items():
        record |= ends(name, estimate)
    return record


PAIR_COLUMNS = (
    *("task", "head", "fraction", "first", "second", "figure", "difference", "difference_low", "difference_high"),
    *("test", "variance_factor", "p", "p_holm", "folds", "p_folds"),
)


def pairs_csv_text(pairs: Sequence[Pair]) -> str:
    """Every pair of encoders, a row each; the columns alone where there is none."""
    records = [
        {
            "task": pair.task,
            "head": pair.head,
            "fraction": pair.fraction,
            "first": pair.first,
            "second": pair.second,
            "figure": pair.figure,
            **ends("difference", pair.difference),
            "test": pair.test,
            "variance_factor": f"{pair.variance_factor:g}",
            "p": significant(pair.p),
            "p_holm": significant(pair.adjusted),
            "folds": str(pair.folds),
            "p_folds": significant(pair.resampled),
        }
        for pair in pairs
    ]
    return csv_table(records, PAIR_COLUMNS)


def ends(name: str, estimate: Estimate) -> dict[str, str]:
    """An estimate as three cells."""
    return {name: plain(estimate.value), f"{name}_low": plain(estimate.low), f"{name}_high": plain(estimate.high)}


def plain(value: float) -> str:
    """Six decimals, empty for NaN."""
    return "" if math.isnan(value) else f"{value:.6f}"


def significant(p: float) -> str:
    """Six significant digits, empty for NaN."""
    return "" if math.isnan(p) else f"{p:.6g}"
