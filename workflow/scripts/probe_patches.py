"""Fit a probe on the frozen features of labelled patches and predict the test patches."""

import argparse
import json
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

from histossl.cli import run
from histossl.probes.patches import Patches, check_separate, cross_validation, read_patches, with_classes, with_target
from histossl.probes.predict import REGRESSIONS, predict
from histossl.tables.predictions import write_predictions


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, fit the probe, write the predictions of the test patches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="patch features to train on")
    parser.add_argument("--test", type=Path, nargs="?", help="patch features to test on; none: folds of the training")
    parser.add_argument("--task", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--probe", required=True)
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: of the task, and of the probe")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions (CSV)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    probe, task, settings = arguments.probe, arguments.settings["task"], arguments.settings["probe"]
    regression = probe in REGRESSIONS
    said = f"[{arguments.task} {arguments.encoder} {probe}]"

    def read(path: Path, split: str) -> Patches:
        patches = read_patches(path, split)
        usable, left_out = with_target(patches) if regression else with_classes(patches, task["merge"], task["exclude"])
        why = "that have no target" if regression else "that have no label or are of an excluded class"
        print(f"{said} {patches.source}: {len(usable.path)} patches, without {left_out} {why}", file=sys.stderr)
        return usable

    train = read(arguments.train, task["train_split"])
    if arguments.test:
        sides = [(0, train, read(arguments.test, task["test_split"]))]
        check_separate(*sides[0][1:])
    else:
        sides = cross_validation(train, task["folds"], task["seed"], stratified=not regression)
    columns, rows = [], []
    for fold, inside, tested in sides:
        with threadpool_limits(1):  # what BLAS adds up depends on its threads
            predicted = predict(probe, settings, inside, tested, arguments.threads)
        columns = ["target" if regression else "label", *predicted.columns]
        truth = tested.target if regression else tested.label
        for name, values in predicted.values.items():
            patches = zip(*(column.tolist() for column in (tested.path, tested.group, truth, values)), strict=True)
            constant = (arguments.task, arguments.encoder, name, fold)
            rows += [(*constant, *patch, *value) for *patch, value in patches]
        print("; ".join([f"{said} fold {fold}: tested {len(truth)}", *predicted.said]), file=sys.stderr)
    write_predictions(arguments.predictions, ["task", "encoder", "probe", "fold", "path", "group", *columns], rows)


if __name__ == "__main__":
    run(main)
