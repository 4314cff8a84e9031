"""Map the patch features of an encoder on a data set (UMAP), and say how well they tell classes and splits apart."""

import argparse
import csv
import json
from pathlib import Path

from threadpoolctl import threadpool_limits

from histossl.cli import run
from histossl.figures.feature_map import MapSettings, map_features
from histossl.files import whole_file, write_text_whole


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, make the map, write its points and what is to be said of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, type=Path, help="features/{encoder}/patches/{dataset}.h5")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON: see MapSettings")
    parser.add_argument("--points", required=True, type=Path, help="path, label, split, x and y of each patch (CSV)")
    parser.add_argument("--facts", required=True, type=Path, help="silhouette, purity and settings (JSON)")
    arguments = parser.parse_args(argv)

    with threadpool_limits(1):  # what BLAS adds up depends on its threads
        rows, facts = map_features(arguments.features, MapSettings(**arguments.settings))
    with whole_file(arguments.points) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "label", "split", "x", "y"), *rows])
    write_text_whole(arguments.facts, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main)
