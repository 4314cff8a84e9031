"""The tables of each kind: slide tasks, and what probes make of patches."""

import math
from collections.abc import Iterator, Mapping, Sequence

from histossl.statistics.spread import mean_and_sd
from histossl.tables.comparison import Estimate, Judged
from histossl.tables.figures import (
    AVERAGE_PRECISION,
    BALANCED_ACCURACY,
    F1,
    MACRO_AUC,
    MEAN_AVERAGE_PRECISION,
    QUERY_FIGURES,
    REGRESSION_FIGURES,
)
from histossl.tables.pairs import Pair, verdicts
from histossl.tables.render import Figures, Section

TITLES = {
    "slide": "Slide tasks",
    "classification": "Patch classification",
    "regression": "Patch regression",
    "few_shot": "Few-shot classification of patches",
    "retrieval": "Retrieval of patches",
}
HEADINGS = {
    MACRO_AUC: "AUC",
    BALANCED_ACCURACY: "BA",
    F1: "F1",
    AVERAGE_PRECISION: "AP",
    "mse": "MSE",
    "spearman": "Spearman",
    "kendall_tau_b": "Kendall tau-b",
    "prediction_probability": "P_K",
    MEAN_AVERAGE_PRECISION: "mAP",
    "hit_1": "hit@1",
    "hit_3": "hit@3",
    "hit_5": "hit@5",
    "majority_5": "majority@5",
}
# The figures of each kind in the order of its columns. Those with an interval, then those without.
SHOWN: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "slide": ((MACRO_AUC,), (BALANCED_ACCURACY, F1, AVERAGE_PRECISION)),
    "classification": ((MACRO_AUC, BALANCED_ACCURACY), (F1, AVERAGE_PRECISION)),
    "regression": (REGRESSION_FIGURES, ()),
    "few_shot": ((BALANCED_ACCURACY,), ()),
    "retrieval": (tuple(QUERY_FIGURES), ()),
}
# The figures that are compared with the control's; the first is also the one that encoders are compared by.
COMPARED = {
    "slide": (MACRO_AUC, BALANCED_ACCURACY),
    "classification": (MACRO_AUC, BALANCED_ACCURACY),
    "regression": ("mse",),
    "few_shot": (BALANCED_ACCURACY,),
    "retrieval": (MEAN_AVERAGE_PRECISION,),
}
OF_EACH_CLASS = {"auc": "AUC of each class against the rest", "recall": "recall of each class"}


def sections(kind: str, judged: Sequence[Judged], pairs: Sequence[Pair], level: float) -> list[Section]:
    """The tables of a kind, a section a task, with one figure a class and the pairs in sections of their own."""
    standing = verdicts(judged, pairs, level)
    return [
        section
        for task in dict.fromkeys(m.task for m in judged)
        for section in task_sections(
            kind,
            task,
            [m for m in judged if m.task == task],
            [verdict for m, verdict in zip(judged, standing, strict=True) if m.task == task],
            [pair for pair in pairs if pair.task == task],
        )
    ]


def task_sections(
    kind: str, task: str, methods: Sequence[Judged], standing: Sequence[str], pairs: Sequence[Pair]
) -> Iterator[Section]:
    """The tables of one task."""
    names = ["encoder", head_name(kind), *(["data"] if kind == "slide" else [])]
    lead = [[m.encoder + mark(m), m.head, *data(kind, m.fraction)] for m in methods]
    if any_normalised(methods):
        names.append("stain")
        lead = [[*row, m.stain] for row, m in zip(lead, methods, strict=True)]
    columns = {"seen": [seen(method) for method in methods]}
    if any_leaked(methods):
        columns["leak"] = [Figures("{}/{}".format(*method.leaked)) for method in methods]
    if any(standing):
        columns["vs best"] = [Figures(verdict) for verdict in standing]
    columns |= figure_columns(kind, methods)
    rows = [row + list(cells) for row, cells in zip(lead, zip(*columns.values(), strict=True), strict=True)]
    yield Section(f"{task} ({sizes(kind, methods)})", [*names, *columns], rows, len(names))
    yield from class_section(task, methods, names, lead)
    if pairs:
        yield pair_section(kind, task, pairs)


def figure_columns(kind: str, methods: Sequence[Judged]) -> dict[str, list[Figures]]:
    """The columns of figures: those with an interval beside their difference to the control, then the others."""
    with_interval, without = SHOWN[kind]
    columns = {}
    for name in with_interval:
        columns[HEADINGS[name]] = [interval(m.figures[name]) for m in methods]
        if name == with_interval[0] and (kind == "slide" or any_folds(methods)):
            columns[f"{HEADINGS[name]} of folds"] = [fold_spread(m) for m in methods]
        if name in COMPARED[kind] and any(m.differences for m in methods):
            columns[f"{HEADINGS[name]} - control"] = [control_difference(m, name) for m in methods]
    return columns | {HEADINGS[name]: [number(m.figures[name].value) for m in methods] for name in without}


def class_section(
    task: str, methods: Sequence[Judged], names: Sequence[str], lead: Sequence[Sequence[str]]
) -> Iterator[Section]:
    """One figure a class, where there are more than two."""
    classes = list(dict.fromkeys(name for m in methods for name in m.classes))
    for figure, title in OF_EACH_CLASS.items():
        if len(classes) > 2 and any(f"{figure}[{name}]" in m.figures for m in methods for name in classes):
            cells = [
                [number(m.figures[f"{figure}[{name}]"].value) if name in m.classes else Figures("") for name in classes]
                for m in methods
            ]
            rows = [[*a, *b] for a, b in zip(lead, cells, strict=True)]
            yield Section(f"{task}: {title}", [*names, *classes], rows, len(names))


def pair_section(kind: str, task: str, pairs: Sequence[Pair]) -> Section:
    """The encoders of a task compared with each other."""
    names = [head_name(kind), *(["data"] if kind == "slide" else []), "first", "second"]
    heading = HEADINGS[pairs[0].figure]
    rows = [
        [
            *(pair.head, *data(kind, pair.fraction), pair.first, pair.second),
            *(signed(pair.difference), p_value(pair.p), p_value(pair.adjusted), p_value(pair.resampled)),
        ]
        for pair in pairs
    ]
    columns = [*names, f"{heading}, first - second", "p", "p (Holm)", "p (folds)"]
    if all(math.isnan(pair.resampled) for pair in pairs):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Section(f"{task}: differences between encoders", columns, rows, len(names))


def head_name(kind: str) -> str:
    """What the method beside the encoder is called."""
    return "model" if kind == "slide" else "probe"


def data(kind: str, fraction: str) -> list[Figures]:
    """Share of the training patients, for slide tasks."""
    return [Figures(f"{100 * float(fraction):g}%")] if kind == "slide" else []


def mark(method: Judged) -> str:
    """A dagger for an encoder that was trained on patients who are tested."""
    return "†" if method.seen and method.seen[0] else ""


def any_leaked(methods: Sequence[Judged]) -> bool:
    """Whether any patient was tested who was in training."""
    return any(m.leaked[0] for m in methods)


def any_folds(methods: Sequence[Judged]) -> bool:
    """Whether any method was tested in several folds."""
    return any(len(m.folds) + m.folds_left_out > 1 for m in methods)


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


def signed(estimate: Estimate) -> Figures:
    """`+0.123 [+0.050, +0.200]`, without the interval where it is undefined."""
    value, low, high = (f"{part:+.3f}" for part in estimate)
    return Figures(
        "" if math.isnan(estimate.value) else value if math.isnan(estimate.low) else f"{value} [{low}, {high}]"
    )


def control_difference(method: Judged, figure: str) -> Figures:
    """`+0.123 [+0.050, +0.200] *`, the star where the interval excludes 0; empty without a control."""
    if figure not in method.differences or math.isnan(method.differences[figure].low):
        return Figures("")
    estimate = method.differences[figure]
    return Figures(f"{signed(estimate)} {'*' if estimate.excludes_zero else ' '}")


def p_value(p: float) -> Figures:
    """Three decimals, `<0.001` below them, empty for NaN."""
    return Figures("" if math.isnan(p) else "<0.001" if p < 0.0005 else f"{p:.3f}")


def fold_spread(method: Judged) -> Figures:
    """`0.886 ± 0.059`: mean and standard deviation (n - 1) over the folds."""
    mean, spread = mean_and_sd(method.folds)
    return number(mean) if math.isnan(spread) else Figures(f"{mean:.3f} ± {spread:.3f}")
