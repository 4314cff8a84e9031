"""Fit a probe on the frozen features of labelled patches and predict the test patches."""

import argparse
import json
import sys
from pathlib import Path

from histossl.cli import run
from histossl.probes.patches import check_separate, read_patches, with_classes, with_target
from histossl.probes.probes import knn_probabilities, linear_predictions
from histossl.tables.predictions import PROBABILITY, write_predictions


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, fit the probe, write the predictions of the test patches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="patch features to train on")
    parser.add_argument("--test", type=Path, required=True, help="patch features to test on; may be the same file")
    parser.add_argument("--settings", type=json.loads, required=True, help="settings as JSON, with the two splits")
    parser.add_argument("--task", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions (CSV)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    settings = arguments.settings

    train = read_patches(arguments.train, settings["train_split"])
    test = read_patches(arguments.test, settings["test_split"])
    check_separate(train, test)
    constant = (arguments.task, arguments.encoder, settings["probe"])
    columns = ["task", "encoder", "probe", "fold", "path", "group"]
    if settings["probe"] == "knn":
        train, train_dropped = with_classes(train, settings["merge"], settings["exclude"])
        test, test_dropped = with_classes(test, settings["merge"], settings["exclude"])
        classes, predicted = knn_probabilities(train, test, settings["k"], settings["metric"], arguments.threads)
        columns += ["label", *(PROBABILITY + name for name in classes)]
        truth = test.label
    else:
        train, train_dropped = with_target(train)
        test, test_dropped = with_target(test)
        predicted = linear_predictions(train, test, settings["ridge"])[:, None]
        columns += ["target", "prediction"]
        truth = test.target
    rows = zip(test.path.tolist(), test.group.tolist(), truth.tolist(), predicted.tolist(), strict=True)
    write_predictions(
        arguments.predictions,
        columns,
        ((*constant, 0, path, group, true, *values) for path, group, true, values in rows),
    )
    print(
        f"[{' '.join(constant)}] {len(train.path)} training and {len(test.path)} test patches; left out for want of a "
        f"label or target: {train_dropped} and {test_dropped}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run(main)
