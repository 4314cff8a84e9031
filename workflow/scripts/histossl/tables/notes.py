"""What stands below the tables: what the columns mean, and how intervals and tests were computed."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from histossl.tables.comparison import Judged, Resampling
from histossl.tables.pairs import Pair
from histossl.tables.sections import COMPARED, HEADINGS, any_folds, any_leaked, any_normalised, mark


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
    resamples = max(len(m.measured.samples) for m in judged)
    unit, alone = ("patients", "") if kind == "slide" else ("groups", " (a patch without a group is one of its own)")
    controls = dict.fromkeys(f"{m.encoder} - {m.control}" for m in judged if m.control)
    compared = [
        f"Difference to the control, paired on the same resamples: {', '.join(controls)}. A star marks an "
        f"interval without 0; intervals are not corrected for the number of comparisons, and are no p: at the edge the "
        f"two may disagree."
    ]
    return [
        *meanings(kind),
        *(fold_notes(kind, judged) if kind == "slide" or any_folds(judged) else []),
        *stain_notes(kind, judged, trained_stains),
        *seen_notes(kind, judged, unit),
        f"In brackets: {100 * resampling.level:g}% interval from {resamples} resamples of the {unit}{alone}: "
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
        f"Cross-validation{'' if every else ' (where folds test different ' + unit + ')'}: {unit} tested in one fold "
        f"trained the models of others, which predictions do not show; intervals and p allow for twice the variance. "
        f"That is enough where folds train on many {unit}, and rather cautious where figures are high."
    ]


def pair_notes(pairs: Sequence[Pair], unit: str, level: float) -> list[str]:
    """How encoders are compared with each other."""
    tests = {
        "DeLong": f"DeLong's test within folds; what belongs to one of the {unit} counts as one unit (Obuchowski)",
        "bootstrap": f"Student's t of the standard error over the resamples of the {unit}",
    }
    said = " and ".join(tests[name] for name in dict.fromkeys(pair.test for pair in pairs))
    folds = "; p (folds): corrected resampled t over the folds (Nadeau and Bengio), for comparison"
    listed = any(not math.isnan(pair.resampled) for pair in pairs)
    return [
        f"vs best: n.s. (not significant) are encoders that cannot be told apart from the best with the same head and "
        f"data, which is no proof that they are equal: look at the intervals. The others are worse, with p (Holm) "
        f"below {1 - level:.2g}. p: {said}. p (Holm): corrected for all pairs of encoders with the same head and "
        f"data{folds if listed else ''}."
    ]
