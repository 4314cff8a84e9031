"""Where labels are shuffled, no signal is found.

    python benchmarks/shuffled_labels.py [--shuffles 200 --processes 2] [--results results --encoders dino simclr]

Two encoders see the same patches through networks of random weights, or, with `--results`, are two that a finished
demo trained. Patches of a slide, and slides of a patient, are more alike than others: a head can tell patients apart,
and slides of one patient are no independent proof of anything.

For each shuffle the labels are dealt to the patients anew, patients are split into folds, attention heads trained on
both encoders, and the predictions judged as for the tables. Printed are how many of the AUC's 95% intervals contain
0.5, and how often the pairwise test finds p < 0.05, which 5% should; ends with 1 if more than 7% do.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from histossl.config import plan
from histossl.config.load import load_config
from histossl.mil.bags import Bag, read_bags
from histossl.mil.training import HeadSettings, cross_validate
from histossl.progress import Progress
from histossl.splits.folds import draw_splits
from histossl.splits.labels import LabelledSlide
from histossl.tables.comparison import Resampling, judge
from histossl.tables.figures import MACRO_AUC
from histossl.tables.pairs import compare_encoders
from histossl.tables.predictions import write_predictions

CLASSES = ("ductal", "lobular")
COLUMNS = ("task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked")
LATENT = 24  # what tells patches apart, before an encoder sees them
GOAL = 0.07  # of pairwise tests below 0.05


@dataclass(frozen=True)
class Cohort:
    """Slides without labels: the patient of each, and the bags of each encoder."""

    patients: Mapping[str, str]
    bags: Mapping[str, Mapping[str, Bag]]


class Outcome(NamedTuple):
    """One shuffle: whether each encoder's AUC interval contains 0.5, their AUCs, and p of both pairwise tests."""

    contains: tuple[bool, ...]
    aucs: tuple[float, ...]
    p: float
    over_folds: float


def draw_cohort(patients: int, seed: int) -> Cohort:
    """Patients with one or two slides of 30 to 80 patches, seen by two encoders of 32 and 64 features."""
    rng = np.random.default_rng(seed)
    tissues = rng.normal(size=(4, LATENT))
    widths = {"narrow": 32, "wide": 64}
    weights = {name: rng.normal(size=(LATENT, width)) / LATENT**0.5 for name, width in widths.items()}
    owner: dict[str, str] = {}
    bags: dict[str, dict[str, Bag]] = {name: {} for name in widths}
    for patient in range(patients):
        own, shares = rng.normal(size=LATENT) * 0.5, rng.dirichlet(np.ones(len(tissues)))
        for copy in range(rng.integers(1, 3)):
            count = int(rng.integers(30, 81))
            slide = f"s{patient:03d}-{copy}"
            patches = tissues[rng.choice(len(tissues), count, p=shares)] + own + rng.normal(size=LATENT) * 0.3
            patches = patches + rng.normal(size=(count, LATENT))
            owner[slide] = f"p{patient:03d}"
            for name, matrix in weights.items():
                features = np.maximum(patches @ matrix, 0).astype(np.float32)
                bags[name][slide] = Bag(features, np.zeros((count, 2), np.int64))
    return Cohort(owner, bags)


def read_cohort(results: Path, encoders: Sequence[str]) -> Cohort:
    """The labelled slides of a finished demo."""
    rows = (ROOT / "config/demo/slides.csv").read_text(encoding="utf-8").splitlines()
    sheet = [dict(zip(rows[0].split(","), row.split(","), strict=True)) for row in rows[1:]]
    patients = {row["slide"]: row["patient"] for row in sheet if row["subtype"]}
    return Cohort(patients, {name: read_bags(patients, results / f"features/{name}/slides/p64") for name in encoders})


def head_settings(epochs: int) -> HeadSettings:
    """A small attention head, the rest as in the demo."""
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config = load_config(values, ROOT / "config/schemas/config.schema.yaml", ROOT / "config/presets")
    small: dict[str, Any] = {**plan.head_settings(config, "subtype", "abmil"), "hidden": 32, "attention": 16}
    del small["seeds"]
    return HeadSettings.from_config({**small, "epochs": epochs, "learning_rate": 2e-3})


def shuffle(number: int, cohort: Cohort, folds: int, settings: HeadSettings, resamples: int) -> Outcome:
    """Deal the labels anew, train and judge both encoders."""
    torch.set_num_threads(1)
    names = sorted(set(cohort.patients.values()))
    dealt = np.random.default_rng([7, number]).permutation(np.arange(len(names)) % len(CLASSES))
    label = {name: CLASSES[index] for name, index in zip(names, dealt, strict=True)}
    slides = [LabelledSlide(slide, patient, label[patient]) for slide, patient in sorted(cohort.patients.items())]
    members = draw_splits(slides, folds, 1.0, 0.0, number)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for encoder, bags in cohort.bags.items():
            with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
                tested = cross_validate(members, bags, settings, [1], f"shuffle {number}", torch.device("cpu"), encoder)
            rows = []
            for slide in tested:
                repeat, fraction, fold, _, *rest = slide.member
                who = (f"shuffle {number}", encoder, "abmil", str(fraction), repeat, fold, slide.seed)
                rows.append((*who, *rest, *slide.probabilities.tolist()))
            files.append(Path(folder) / f"{encoder}.csv")
            write_predictions(files[-1], (*COLUMNS, *(f"p_{name}" for name in CLASSES)), rows)
        resampling = Resampling(resamples, 1, 0.95)
        judged = judge(files, "slide", {}, resampling)
        (pair,) = compare_encoders(judged, "slide", resampling)
    aucs = [method.figures[MACRO_AUC] for method in judged]
    return Outcome(
        tuple(auc.low <= 0.5 <= auc.high for auc in aucs), tuple(auc.value for auc in aucs), pair.p, pair.resampled
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Shuffle, and count what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shuffles", type=int, default=200)
    parser.add_argument("--patients", type=int, default=48, help="of the drawn cohort")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, help="`results` of a finished demo, whose features are taken")
    parser.add_argument("--encoders", nargs=2, default=["dino", "simclr"], help="two of the demo's")
    arguments = parser.parse_args(argv)
    drawn = arguments.results is None
    cohort = draw_cohort(arguments.patients, 1) if drawn else read_cohort(arguments.results, arguments.encoders)
    run = partial(
        shuffle,
        cohort=cohort,
        folds=arguments.folds,
        settings=head_settings(arguments.epochs),
        resamples=arguments.resamples,
    )
    progress, outcomes = Progress("shuffled labels", arguments.shuffles, "shuffles"), []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for outcome in pool.map(run, range(arguments.shuffles)):
            outcomes.append(outcome)
            progress.advance()
    found, over_folds = (np.mean([p < 0.05 for p in each]) for each in list(zip(*outcomes, strict=True))[2:])
    print(f"{len(cohort.patients)} slides of {len(set(cohort.patients.values()))} patients, {len(outcomes)} shuffles")
    for index, encoder in enumerate(cohort.bags):
        aucs = [outcome.aucs[index] for outcome in outcomes]
        share = np.mean([outcome.contains[index] for outcome in outcomes])
        print(f"{encoder}: AUC {np.mean(aucs):.3f} ± {np.std(aucs, ddof=1):.3f}; {share:.1%} of intervals contain 0.5")
    print(f"DeLong with the variance doubled, the tables' test: p < 0.05 in {found:.1%} (goal: at most {GOAL:.0%})")
    print(f"corrected resampled t over folds: p < 0.05 in {over_folds:.1%}")
    sys.exit(int(found > GOAL))


if __name__ == "__main__":
    main()
