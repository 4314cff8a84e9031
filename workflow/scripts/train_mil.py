"""Train and test slide-level heads on frozen features, for every repeat, fold and seed of a task's splits."""

import argparse
import json
import sys
from pathlib import Path

import torch

from histossl.cli import run
from histossl.mil.attention_file import write_attention
from histossl.mil.bags import read_bags
from histossl.mil.settings import HeadSettings
from histossl.mil.training import cross_validate
from histossl.splits.split_file import name_fraction, read_splits
from histossl.tables.predictions import PROBABILITY, write_predictions


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, train the heads, write out-of-fold predictions and attention."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=Path, required=True, help="splits of the task (CSV)")
    parser.add_argument("--features", type=Path, required=True, help="folder of the feature files, {slide}.h5")
    parser.add_argument("--settings", type=json.loads, required=True, help="settings of the head as JSON")
    parser.add_argument("--task", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--predictions", type=Path, required=True, help="out-of-fold predictions (CSV)")
    parser.add_argument("--attention", type=Path, required=True, help="out-of-fold attention (HDF5)")
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="heads trained side by side on a CPU")
    arguments = parser.parse_args(argv)
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(automatic if arguments.device == "auto" else arguments.device)
    seeds = arguments.settings.pop("seeds")
    settings = HeadSettings.from_config(arguments.settings)

    members = read_splits(arguments.splits)
    bags = read_bags((member.slide for member in members), arguments.features)
    fraction = name_fraction(members[0].fraction)  # the same in all of a file
    label = f"{arguments.task} {arguments.encoder} {settings.model} {fraction}"
    tested = cross_validate(members, bags, settings, seeds, arguments.task, device, label, arguments.threads)
    empty = sorted(slide for slide, bag in bags.items() if not len(bag.features))
    if empty:
        print(f"warning: [{label}] slides without patches, tested as a guess: {', '.join(empty)}", file=sys.stderr)

    constant = (arguments.task, arguments.encoder, settings.model)
    classes = sorted({member.label for member in members})
    columns = ("task", "encoder", "model", "fraction", "repeat", "fold", "seed", "slide", "patient", "label", "leaked")
    rows = []
    for slide in tested:
        repeat, _, fold, _, *rest = slide.member
        rows.append((*constant, fraction, repeat, fold, slide.seed, *rest, *slide.probabilities.tolist()))
    write_predictions(arguments.predictions, (*columns, *(PROBABILITY + name for name in classes)), rows)
    named = dict(zip(columns, constant, strict=False))
    write_attention(arguments.attention, tested, bags, named)


if __name__ == "__main__":
    run(main)
