"""How fast whole bags are read: our feature files beside those of CLAM and TRIDENT and beside a memory-mapped array.

    python benchmarks/read_bags.py

The same bags are written in each layout. A pass reads all of them, one after the other, and the layouts take turns.
Files lie in the page cache: what is compared is what a layout costs, not the disk. Ours are compared with their
checksums, also where they are mapped into memory. Needs 6 GB of disk for the while.
"""

import argparse
import random
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from histossl.features.foreign_features import ForeignFeatures, write_foreign_features
from histossl.features.slide_features import read_slide_features
from histossl.mil.bags import map_bag

CHUNKS = {"CLAM": 32, "TRIDENT": 1}
"""Rows of a chunk, in the features and in the coordinates (CLAM's utils/file_utils.py, TRIDENT's trident/IO.py)."""


def main() -> None:
    """Write the bags, read them, print medians and ratios to CLAM's times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/bags"), help="scratch, removed afterwards")
    parser.add_argument("--bags", type=int, default=200)
    parser.add_argument("--patches", type=int, nargs=2, default=(2000, 10000), help="of a bag, at least and at most")
    parser.add_argument("--features", type=int, default=384, help="of a patch")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--trident", type=int, default=10, help="bags read in TRIDENT's layout, which is slow")
    arguments = parser.parse_args()
    layouts: dict[str, Callable[[Path], object]] = {
        "memory map, summed": lambda path: np.load(path.with_suffix(".npy"), mmap_mode="r").sum(),
        "memory map, copied": lambda path: np.array(np.load(path.with_suffix(".npy"), mmap_mode="r")),
        "ours, mapped": map_bag,  # as training has it
        "ours, copied": read_slide_features,
        "CLAM": read_h5,
        "TRIDENT": read_h5,
    }
    times: dict[str, list[float]] = {layout: [] for layout in layouts}
    try:
        names = write(arguments)
        for _ in range(arguments.repeats):
            for layout, read in layouts.items():
                share = names[: arguments.trident] if layout == "TRIDENT" else names
                start = time.perf_counter()
                for name in share:
                    read(arguments.folder / layout.partition(",")[0] / f"{name}.h5")
                times[layout].append((time.perf_counter() - start) * len(names) / len(share))
    finally:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    print(f"{len(names)} bags, {arguments.features} features a patch, medians of {arguments.repeats} passes")
    for layout, taken in times.items():
        ratio = statistics.median(own / clam for own, clam in zip(taken, times["CLAM"], strict=True))
        print(f"{layout:20} {statistics.median(taken):7.3f} s, {ratio:6.3f} of CLAM's time")


def read_h5(path: Path) -> np.ndarray:
    """As CLAM's and TRIDENT's code reads a bag."""
    with h5py.File(path, "r") as file:
        features, _ = file["features"][:], file["coords"][:]
    return features


def write(arguments: argparse.Namespace) -> list[str]:
    """Write the bags in all layouts; their names."""
    draw, values = random.Random(1), np.random.default_rng(1)
    names = [f"slide{i:04d}" for i in range(arguments.bags)]
    for layout in ("memory map", "ours", *CHUNKS):
        (arguments.folder / layout).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        rows = draw.randint(*arguments.patches)
        features = values.random((rows, arguments.features), np.float32)
        coords = values.integers(0, 10**5, (rows, 2))
        np.save(arguments.folder / "memory map" / f"{name}.npy", features)
        bag, facts = ForeignFeatures(features, coords), {"encoder": "any"}
        write_foreign_features(arguments.folder / f"ours/{name}.h5", bag, name, facts)
        for layout, chunk in CHUNKS.items():
            if layout == "TRIDENT" and number >= arguments.trident:
                continue
            with h5py.File(arguments.folder / layout / f"{name}.h5", "w") as file:
                for key, array in (("features", features), ("coords", coords)):
                    width = array.shape[1]
                    file.create_dataset(key, data=array, chunks=(chunk, width), maxshape=(None, width))
    return names


if __name__ == "__main__":
    main()
