"""The three tables: slide tasks, patch classification, patch regression."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from histossl.tables.comparison import (
    BALANCED_ACCURACY,
    MACRO_AUC,
    REGRESSION_FIGURES,
    Estimate,
    Judged,
    Resampling,
)
from histossl.tables.render import Figures, Section, csv_table

TITLES = {"slide": "Slide tasks", "classification": "Patch classification", "regression": "Patch regression"}
HEADINGS = {
    "mse": "MSE",
    "spearman": "Spearman",
    "kendall_tau_b": "Kendall tau-b",
    "prediction_probability": "P_K",
}


def sections(kind: str, judged: Sequence[Judged]) -> list[Section]:
    """The tables of a kind, a section a task, with one AUC a class in a section of its own."""
    return [
        section
        for task in dict.fromkeys(m.task for m in judged)
        for section in task_sections(kind, task, [m for m in judged if m.task == task])
    ]


def task_sections(kind: str, task: str, methods: Sequence[Judged]) -> Iterator[Section]:
    """The tables of one task."""
    title = f"{task} ({sizes(kind, methods)})"
    names = ["encoder", "model" if kind == "slide" else "probe", *(["data"] if kind == "slide" else [])]
    lead = [
        [m.encoder, m.head, *([Figures(f"{100 * float(m.fraction):g}%")] if kind == "slide" else [])] for m in methods
    ]
    if any_normalised(methods):
        names.append("stain")
        lead = [[*row, m.stain] for row, m in zip(lead, methods, strict=True)]
    if kind == "regression":
        mse, *others = REGRESSION_FIGURES
        columns = [HEADINGS[mse], "MSE - control", *(HEADINGS[name] for name in others)]
        cells = [
            [interval(m.figures[mse]), difference(m, mse), *(interval(m.figures[name]) for name in others)]
            for m in methods
        ]
    elif kind == "slide":
        columns = ["AUC", "AUC of folds", "BA", "AUC - control"]
        cells = [
            [
                interval(m.figures[MACRO_AUC]),
                fold_spread(m),
                number(m.figures[BALANCED_ACCURACY].value),
                difference(m, MACRO_AUC),
            ]
            for m in methods
        ]
    else:
        columns = ["AUC", "AUC - control", "BA", "BA - control"]
        cells = [
            [
                interval(m.figures[MACRO_AUC]),
                difference(m, MACRO_AUC),
                number(m.figures[BALANCED_ACCURACY].value),
                difference(m, BALANCED_ACCURACY),
            ]
            for m in methods
        ]
    columns = ["seen", *columns]
    cells = [[seen(method), *row] for method, row in zip(methods, cells, strict=True)]
    yield Section(title, [*names, *columns], [a + b for a, b in zip(lead, cells, strict=True)], len(names))
    classes = list(dict.fromkeys(name for m in methods for name in m.classes))
    if len(classes) > 2:
        per_class = [
            [number(m.figures[f"auc[{name}]"].value) if name in m.classes else Figures("") for name in classes]
            for m in methods
        ]
        rows = [a + b for a, b in zip(lead, per_class, strict=True)]
        yield Section(f"{task}: AUC of each class against the rest", [*names, *classes], rows, len(names))


def any_normalised(methods: Sequence[Judged]) -> bool:
    """Whether the stains of any method's data were normalised."""
    return any(m.stain not in ("none", "unknown") for m in methods)


def sizes(kind: str, methods: Sequence[Judged]) -> str:
    """Such as `24 slides of 20 patients`."""

    def span(counts: set[int]) -> str:
        return "-".join(str(count) for count in sorted({min(counts), max(counts)}))

    rows, clusters = ("slides", "patients") if kind == "slide" else ("patches", "groups")
    return f"{span({m.rows for m in methods})} {rows} of {span({m.clusters for m in methods})} {clusters}"


def seen(method: Judged) -> Figures:
    """Such as `18/18`: how many of the patients tested the encoder was trained on."""
    return Figures("{}/{}".format(*method.seen) if method.seen else "unknown")


def number(value: float) -> Figures:
    """Three decimals, empty for NaN."""
    return Figures("" if math.isnan(value) else f"{value:.3f}")


def interval(estimate: Estimate) -> Figures:
    """`0.886 [0.812, 0.945]`."""
    if math.isnan(estimate.low):
        return number(estimate.value)
    return Figures(f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]")


def difference(method: Judged, figure: str) -> Figures:
    """`+0.123 [+0.050, +0.200] *`, the star where the interval excludes 0; empty without a control."""
    if figure not in method.differences or math.isnan(method.differences[figure].low):
        return Figures("")
    value, low, high = (f"{part:+.3f}" for part in method.differences[figure])
    return Figures(f"{value} [{low}, {high}] {'*' if method.differences[figure].excludes_zero else ' '}")


def fold_spread(method: Judged) -> Figures:
    """`0.886 ± 0.059`: mean and standard deviation (n - 1) over the folds."""
    if not method.folds:
        return Figures("")
    spread = f" ± {np.std(method.folds, ddof=1):.3f}" if len(method.folds) > 1 else ""
    return Figures(f"{np.mean(method.folds):.3f}{spread}")


def notes(
    kind: str,
    judged: Sequence[Judged],
    resampling: Resampling,
    trained_stains: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """What the columns mean and how the intervals were computed.

    `trained_stains` are the encoders trained on patches of another stain normalisation than they were tested on, and
    that normalisation.
    """
    unit, alone = ("patients", "") if kind == "slide" else ("groups", " (a patch without a group is one of its own)")
    auc = "AUC: one class against the rest, mean over the classes."
    meaning = {
        "slide": [
            f"{auc} Only slides tested in the same fold by the same model are compared with each other.",
            "AUC of folds: mean ± standard deviation of the AUC of single folds. BA: balanced accuracy.",
            "data: share of the training patients that was used.",
        ],
        "classification": [f"{auc} BA: balanced accuracy."],
        "regression": [
            "MSE: mean squared error. P_K: prediction probability, how often the patch with the higher target is "
            "predicted higher (ties one half).",
        ],
    }
    controls = dict.fromkeys(f"{m.encoder} - {m.control}" for m in judged if m.control)
    compared = [
        f"Difference to the control, paired on the same resamples: {', '.join(controls)}. A star marks an "
        f"interval without 0; intervals are not corrected for the number of comparisons."
    ]
    arrow = "" if kind == "slide" else ", training -> test where they differ"
    meant = f"stain: how the colours of the data were normalised here{arrow}; none leaves them as the data have them."
    stain = [meant] if any_normalised(judged) else []
    trained = ", ".join(f"{encoder} ({name})" for encoder, name in trained_stains.items())
    if trained:
        stain.append(f"Encoders trained on patches of another stain normalisation than they were tested on: {trained}.")
    by_name = "" if kind == "slide" else ", which are told by their names"
    return [
        *meaning[kind],
        *stain,
        f"seen: of the {unit} tested{by_name}, how many are patients on whose slides the encoder was trained, without "
        "labels; unknown for weights that were not trained here.",
        f"In brackets: {resampling.level:.0%} interval, percentiles of {resampling.resamples} resamples of the "
        f"{unit}{alone}. It speaks of the {unit} tested; what another training run would give is not in it.",
        *(compared if controls else []),
    ]


def csv_text(kind: str, judged: Sequence[Judged]) -> str:
    """Every figure with its interval, a row a method; `_low` and `_high` are the ends of the interval."""
    return csv_table([csv_record(kind, method) for method in judged])


def csv_record(kind: str, method: Judged) -> dict[str, str]:
    """One row of the CSV table."""
    rows, clusters = ("slides", "patients") if kind == "slide" else ("patches", "groups")
    record = {"task": method.task, "encoder": method.encoder, "model" if kind == "slide" else "probe": method.head}
    if kind == "slide":
        record["fraction"] = method.fraction
    record["stain"] = method.stain
    record |= {rows: str(method.rows), clusters: str(method.clusters), "control": method.control}
    record[f"{clusters}_seen"] = str(method.seen[0]) if method.seen else ""
    if kind == "slide":
        record |= {
            "folds": str(len(method.folds)),
            "auc_folds_mean": plain(np.mean(method.folds) if method.folds else math.nan),
            "auc_folds_sd": plain(np.std(method.folds, ddof=1) if len(method.folds) > 1 else math.nan),
        }
    compared = ("mse",) if kind == "regression" else (MACRO_AUC, BALANCED_ACCURACY)
    for name in compared:
        estimate = method.differences.get(name, Estimate(math.nan, math.nan, math.nan))
        record |= ends(f"{name}_difference", estimate)
        record[f"{name}_differs"] = str(estimate.excludes_zero).lower() if name in method.differences else ""
    for name, estimate in method.figures.items():
        record |= ends(name, estimate)
    return record


def ends(name: str, estimate: Estimate) -> dict[str, str]:
    """An estimate as three cells."""
    return {name: plain(estimate.value), f"{name}_low": plain(estimate.low), f"{name}_high": plain(estimate.high)}


def plain(value: float) -> str:
    """Six decimals, empty for NaN."""
    return "" if math.isnan(value) else f"{value:.6f}"
