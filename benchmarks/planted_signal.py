"""A planted signal is found, and found where it was planted.

    python benchmarks/planted_signal.py --folder build/planted [--results results]

In the demo's cohort nothing but the arrangement of tumour cells, nests or single files, tells the two subtypes apart.
Two encoders are made from the drawn truth of each slide:

* `arrangement` sees it: of the tumour cells of a patch their number and how their neighbours lie, beside the shares of
  the tissues, noise, and an offset of each slide;
* `tissue` is blind to it: the same without the tumour cells. Tumour is seen, its subtype is not.

Their features are written as feature files and go through the workflow's own scripts: patients are split, attention
heads trained, predictions judged. Printed are the AUC with its interval, and from `attention.h5`: how much attention a
patch of tumour gets as a multiple of one without any, and the AUROC of attention for tumour, both the mean over slides.

With `--results`, the folder of a finished demo, the encoders that the demo trained go the same way.
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.spatial import cKDTree

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import yaml

import split_patients
import train_mil
from histossl.config import plan
from histossl.config.load import load_config
from histossl.hdf5 import create_hdf5
from histossl.phantom.section import CLASSES, CODE
from histossl.phantom.slide import TRUTH_DOWNSAMPLE, draw_slide, read_specification
from histossl.statistics import metrics
from histossl.tables.comparison import Estimate, Resampling, judge
from histossl.tables.figures import MACRO_AUC

PATCH_PX = 128  # at level 0: 64 px at 1 µm/px of slides of 0.5 µm/px
SPACING_UM = 0.5
NOISE = 16  # features that say nothing
TASK = "subtype"


@dataclass(frozen=True)
class Truth:
    """What was drawn on a slide.

    Attributes:
        regions: (H/16, W/16) uint8, codes of `section.CLASSES`.
        tumour_cells: (N, 2) centres x, y in level-0 pixels.
        coords: (M, 2) level-0 top left corners of patches of which at least half is tissue.
    """

    regions: np.ndarray
    tumour_cells: np.ndarray
    coords: np.ndarray

    def shares(self, code: int) -> np.ndarray:
        """Share of a tissue class in each patch, (M,)."""
        side = PATCH_PX // TRUTH_DOWNSAMPLE
        return np.array(
            [(self.regions[y : y + side, x : x + side] == code).mean() for x, y in self.coords // TRUTH_DOWNSAMPLE]
        )


@dataclass(frozen=True)
class Found:
    """What an encoder's heads made of the cohort: AUC with its interval, and where their attention lay."""

    auc: Estimate
    ratio: float
    auroc: float


def read_config() -> dict[str, Any]:
    """The demo's configuration, with its defaults."""
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    return load_config(values, ROOT / "config/schemas/config.schema.yaml", ROOT / "config/presets")


def draw_truth(slide: str, specification: Path, width_px: int, height_px: int, seed: int) -> Truth:
    """Draw a slide of the cohort and keep the truth about it."""
    drawn = draw_slide(read_specification(specification, slide), seed, width_px, height_px, SPACING_UM)
    side = PATCH_PX // TRUTH_DOWNSAMPLE
    height, width = drawn.regions.shape
    corners = [(x, y) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
    tissue = [(drawn.regions[y : y + side, x : x + side] != CODE["background"]).mean() >= 0.5 for x, y in corners]
    coords = np.array(corners, np.int64).reshape(-1, 2)[tissue] * TRUTH_DOWNSAMPLE
    return Truth(drawn.regions, drawn.tumour_cells, coords)


def describe_cells(truth: Truth) -> np.ndarray:
    """How tumour cells lie in each patch, (M, 5); zeros where there are none.

    Their number, and of them on average: the distance to the next and to the third neighbour, the number of neighbours
    within 20 µm, and how much those within 40 µm lie along a line (0 in all directions alike, 1 on a line).
    """
    cells = truth.tumour_cells.astype(float) * SPACING_UM
    described = np.zeros((len(truth.coords), 5))
    if len(cells) < 4:
        return described
    tree = cKDTree(cells)
    distances, _ = tree.query(cells, k=4)
    looks = np.column_stack(
        [
            distances[:, 1],
            distances[:, 3],
            [len(near) - 1 for near in tree.query_ball_point(cells, 20)],
            [elongation(cells[near]) for near in tree.query_ball_point(cells, 40)],
        ]
    )
    for index, corner in enumerate(truth.coords):
        inside = ((truth.tumour_cells >= corner) & (truth.tumour_cells < corner + PATCH_PX)).all(axis=1)
        if inside.any():
            described[index] = inside.sum(), *looks[inside].mean(axis=0)
    return described


def elongation(points: np.ndarray) -> float:
    """1 - smaller / larger standard deviation of (N, 2) points along their main axes."""
    if len(points) < 3:
        return 1.0
    small, large = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points.T)), 0))
    return float(1 - small / large) if large else 1.0


def see(truth: Truth, cells: bool, rng: np.random.Generator) -> np.ndarray:
    """Features (M, D) float32 of an encoder that sees the tissues and, with `cells`, how tumour cells lie."""
    tissues = np.column_stack([truth.shares(code) for code in range(len(CLASSES))])
    noise = rng.normal(size=(len(truth.coords), NOISE)) + rng.normal(size=NOISE)
    parts = [tissues, noise, *([describe_cells(truth)] if cells else [])]
    return np.concatenate(parts, axis=1).astype(np.float32)


def write_features(folder: Path, truths: Mapping[str, Truth], cells: bool) -> None:
    """Write the feature file of each slide."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, (slide, truth) in enumerate(truths.items()):
        with create_hdf5(folder / f"{slide}.h5") as file:
            file["features"] = see(truth, cells, np.random.default_rng([1, index]))
            file["coords"] = truth.coords


def evaluate(encoder: str, features: Path, splits: Path, settings: Mapping[str, Any], folder: Path) -> Estimate:
    """Train heads on a folder of features and judge them."""
    predictions = folder / encoder / "predictions.csv"
    train_mil.main(
        [
            *(f"--task={TASK}", f"--encoder={encoder}", f"--splits={splits}", f"--features={features}"),
            *(f"--settings={json.dumps(settings)}", "--device=cpu", "--threads=2"),
            *(f"--predictions={predictions}", f"--attention={folder / encoder / 'attention.h5'}"),
        ]
    )
    (judged,) = judge([predictions], "slide", {}, Resampling(1000, 1, 0.95))
    return judged.figures[MACRO_AUC]


def attention_on_tumour(attention_file: Path, truths: Mapping[str, Truth]) -> tuple[float, float]:
    """Mean over slides of attention on tumour as a multiple of that elsewhere, and of its AUROC for tumour.

    Patches of tumour are those of which at least half is tumour, others have none; those between are left out.
    """
    ratios, aurocs = [], []
    with h5py.File(attention_file) as file:
        for slide, group in file.items():
            attention = group["attention"][:].astype(float)
            share = Truth(truths[slide].regions, np.empty((0, 2)), group["coords"][:]).shares(CODE["tumour"])
            inside, outside = share >= 0.5, share == 0
            if inside.any() and outside.any():
                ratios.append(attention[inside].mean() / attention[outside].mean())
                kept = inside | outside
                aurocs.append(metrics.auc(inside[kept], attention[kept], metrics.ones(int(kept.sum())))[0])
    return float(np.mean(ratios)), float(np.mean(aurocs))


def find_signal(
    folder: Path,
    truths: Mapping[str, Truth],
    sheet: Path,
    config: Mapping[str, Any],
    others: Mapping[str, Path],
) -> dict[str, Found]:
    """Split the patients and evaluate the two encoders of the truth, then others, each a folder of feature files."""
    splits, settings = folder / "splits.csv", plan.head_settings(config, TASK, "abmil")
    task = json.dumps(plan.split_settings(config, TASK, "1.0"))
    split_patients.main([f"--sheet={sheet}", f"--settings={task}", f"--output={splits}"])
    own = {name: folder / "features" / name for name in ("arrangement", "tissue")}
    for name, features in own.items():
        write_features(features, truths, cells=name == "arrangement")
    found = {}
    for encoder, features in {**own, **others}.items():
        auc = evaluate(encoder, features, splits, settings, folder)
        found[encoder] = Found(auc, *attention_on_tumour(folder / encoder / "attention.h5", truths))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/planted"))
    parser.add_argument("--results", type=Path, help="`results` of a finished demo")
    arguments = parser.parse_args(argv)
    config = read_config()
    phantom, sheet = config["phantom"], ROOT / config["slides"]["sheet"]
    with sheet.open(encoding="utf-8", newline="") as file:
        slides = [row["slide"] for row in csv.DictReader(file)]
    size = {key: phantom["slides"][key] for key in ("seed", "width_px", "height_px")}
    with ProcessPoolExecutor(2) as pool:
        draw = partial(draw_truth, specification=ROOT / phantom["specification"], **size)
        truths = dict(zip(slides, pool.map(draw, slides), strict=True))
    print(f"{len(slides)} slides drawn", flush=True)
    names = plan.pretrained_encoders(config) + list(plan.controls(config).values()) if arguments.results else []
    others = {name: arguments.results / f"features/{name}/slides/p64" for name in names}
    for encoder, found in find_signal(arguments.folder, truths, sheet, config, others).items():
        value, low, high = found.auc
        print(
            f"{encoder:17s} AUC {value:.3f} [{low:.3f}, {high:.3f}]   attention on tumour: {found.ratio:5.2f} times "
            f"that elsewhere, AUROC {found.auroc:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
