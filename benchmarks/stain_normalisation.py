"""Speed of stain normalisation on one core, beside torchstain called patch by patch, and how far they differ.

    taskset -c 0 python benchmarks/stain_normalisation.py [--pictures FOLDER] [--repeats 5]

Patches of 256 px: drawn ones, or those of a folder, resized. Ours and theirs in turn; prints the medians, their ratio,
and the largest difference in grey levels over the patches that we normalise.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from torchstain.base.normalizers import MacenkoNormalizer, ReinhardNormalizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from histossl.phantom.patches import ARMS, draw_classes
from histossl.stain.macenko import Macenko
from histossl.stain.reinhard import Reinhard

PATCH_PX = 256


def read_patches(folder: Path | None) -> np.ndarray:
    """(N, 256, 256, 3) uint8 RGB."""
    if folder is None:
        return np.stack([patch.image for patch in draw_classes(ARMS["raw"], 8, PATCH_PX, 0.5, seed=3)])
    pictures = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted(folder.glob("*.png"))]
    return np.stack([cv2.resize(picture, (PATCH_PX, PATCH_PX)) for picture in pictures])


def seconds(way: Callable[[np.ndarray], np.ndarray], patches: np.ndarray) -> float:
    """How long a way takes for a batch."""
    start = time.perf_counter()
    way(patches)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="folder of PNG patches")
    parser.add_argument("--reference", type=int, default=1, help="number of the patch that is the reference")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    patches = read_patches(arguments.pictures)
    reference = patches[arguments.reference]
    macenko, reinhard = MacenkoNormalizer(backend="numpy"), ReinhardNormalizer(backend="numpy")
    macenko.fit(reference)
    reinhard.fit(reference)
    plain = {"macenko": lambda patch: macenko.normalize(patch, stains=False)[0], "reinhard": reinhard.normalize}
    for name, method in (("macenko", Macenko), ("reinhard", Reinhard)):
        ours = method.fit(name, reference)
        # Without those that stay as they are, which cost us nothing.
        stained = patches[(ours(patches) != patches).any(axis=(1, 2, 3))]
        ways = (ours, lambda batch, way=plain[name]: np.stack([way(patch) for patch in batch]))
        rounds = [[seconds(way, stained) for way in ways] for _ in range(arguments.repeats)]
        fast, slow = (len(stained) / statistics.median(times) for times in zip(*rounds, strict=True))
        one, other = (way(stained).astype(int) for way in ways)
        print(
            f"{name:9s} {len(stained)} of {len(patches)} patches: ours {fast:.0f}/s, torchstain {slow:.0f}/s, "
            f"ratio {fast / slow:.1f}; largest difference {np.abs(one - other).max()} of 255"
        )


if __name__ == "__main__":
    main()
