"""The tables of each kind: slide tasks, and what probes make of patches."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from histossl.statistics.spread import mean_and_sd
from histossl.tables.comparison import Estimate, Judged, Resampling
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
from histossl.tables.render import Figures, Section, csv_table

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


def notes(
    kind: str,
    judged: Sequence[Judged],
    pairs: Sequence[Pair],
    resampling: Resampling,
    trained_stains: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """What the columns mean and how the intervals were computed.

    `trained_stains` are the encoders trained on patches of another stain normalisation than they were tested on, and
    that normalisation.
    """
    unit, alone = ("patients", "") if kind == "slide" else ("groups", " (a patch without a group is one of its own)")
    controls = dict.fromkeys(f"{m.encoder} - {m.control}" for m in judged if m.control)
    compared = [
        f"Difference to the control, paired on the same resamples: {', '.join(controls)}. A star marks an "
        f"interval without 0; intervals are not corrected for the number of comparisons."
    ]
    return [
        *meanings(kind),
        *(fold_notes(kind, judged) if kind == "slide" or any_folds(judged) else []),
        *stain_notes(kind, judged, trained_stains),
        *seen_notes(kind, judged, unit),
        f"In brackets: {resampling.level:.0%} interval from {resampling.resamples} resamples of the {unit}{alone}: "
        f"BCa, of differences percentiles. It speaks of the {unit} tested; what another training run would give is "
        f"not in it.",
        *(shared_training_notes(judged, unit)),
        *(pair_notes(pairs, unit, resampling.level) if pairs else []),
        *(compared if controls else []),
    ]


def meanings(kind: str) -> list[str]:
    """What the figures of a kind are."""
    auc = "AUC: one class against the rest, mean over the classes."
    others = "BA: balanced accuracy. F1, AP (average precision): of each class against the rest, mean over the classes."
    return {
        "slide": [
            f"{auc} Only slides tested in the same fold by the same model are compared with each other.",
            others,
            "data: share of the training patients that was used.",
        ],
        "classification": [f"{auc} {others}"],
        "regression": [
            "MSE: mean squared error. P_K: prediction probability, how often the patch with the higher target is "
            "predicted higher (ties one half).",
        ],
        "few_shot": ["BA: balanced accuracy, expected over the episodes."],
        "retrieval": [
            "Means over the queries of a class, then over the classes. mAP: average precision over the whole ranking. "
            "hit@k: one of the k nearest is of the class. majority@5: the commonest class of the five nearest is.",
        ],
    }[kind]


def fold_notes(kind: str, judged: Sequence[Judged]) -> list[str]:
    """What is said of single folds."""
    heading = HEADINGS[COMPARED[kind][0]]
    left_out = {m.task: (m.folds_left_out, m.folds_left_out + len(m.folds)) for m in judged if m.folds_left_out}
    counted = ", ".join(f"{task} {count} of {number}" for task, (count, number) in left_out.items())
    return [
        f"{heading} of folds: mean ± standard deviation (n - 1) of the {heading} of single folds."
        + (f" Folds whose test set lacks a class are left out of it: {counted}." if counted else "")
    ]


def stain_notes(kind: str, judged: Sequence[Judged], trained_stains: Mapping[str, str]) -> list[str]:
    """How the colours of the data were normalised."""
    arrow = "" if kind == "slide" else ", training -> test where they differ"
    meant = f"stain: how the colours of the data were normalised here{arrow}; none leaves them as the data have them."
    trained = ", ".join(f"{encoder} ({name})" for encoder, name in trained_stains.items())
    said = f"Encoders trained on patches of another stain normalisation than they were tested on: {trained}."
    return [*([meant] if any_normalised(judged) else []), *([said] if trained else [])]


def seen_notes(kind: str, judged: Sequence[Judged], unit: str) -> list[str]:
    """Of patients who should not have been seen in training, by the encoder or by the head."""
    by_name = "" if kind == "slide" else ", which are told by their names"
    dagger = " † marks encoders that saw some." if any(map(mark, judged)) else ""
    leak = (
        "leak: of the tests of a patient in a fold, in how many the patient was in the fold's training or validation "
        "set too, as the imported splits have it; the figures are too good by an unknown amount."
    )
    return [
        f"seen: of the {unit} tested{by_name}, how many are patients on whose slides the encoder was trained, without "
        f"labels; unknown for weights that were not trained here.{dagger}",
        *([leak] if any_leaked(judged) else []),
    ]


def shared_training_notes(judged: Sequence[Judged], unit: str) -> list[str]:
    """What is allowed for because folds train on each other's patients."""
    if all(m.measured.variance_factor == 1 for m in judged):
        return []
    every = all(m.measured.variance_factor > 1 for m in judged)
    return [
        f"Cross-validation{'' if every else ' (where there are several folds)'}: {unit} tested in one fold trained "
        f"the models of others, which predictions do not show; intervals and p allow for twice the variance, an upper "
        f"bound."
    ]


def pair_notes(pairs: Sequence[Pair], unit: str, level: float) -> list[str]:
    """How encoders are compared with each other."""
    tests = {
        "DeLong": f"DeLong's test within folds, the rows of one of the {unit} being a cluster (Obuchowski)",
        "bootstrap": f"Student's t of the standard error over the resamples of the {unit}",
    }
    said = " and ".join(tests[name] for name in dict.fromkeys(pair.test for pair in pairs))
    folds = "; p (folds): corrected resampled t over the folds (Nadeau and Bengio), for comparison"
    listed = any(not math.isnan(pair.resampled) for pair in pairs)
    return [
        f"vs best: encoders that cannot be told apart from the best with the same head and data bear =, the others are "
        f"worse, with p (Holm) below {1 - level:.2g}. p: {said}. p (Holm): corrected for all pairs of encoders with "
        f"the same head and data{folds if listed else ''}."
    ]


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
    record["vs_best"] = {"=": "alike"}.get(verdict, verdict)
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
