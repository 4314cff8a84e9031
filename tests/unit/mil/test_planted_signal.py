"""A planted signal is found where it was planted; benchmarks/planted_signal.py does it with the whole demo."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from benchmarks.planted_signal import Truth, attention_on_tumour, draw_truth, find_signal, read_config

from histossl.phantom.section import CODE

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_attention_finds_the_tumour_that_tells_the_subtypes_apart(tmp_path):
    sheet = ROOT / "config/demo/slides.csv"
    with sheet.open(newline="") as file:
        slides = [row["slide"] for row in csv.DictReader(file)]
    truths = {slide: draw_truth(slide, ROOT / "config/demo/phantom.csv", 2048, 1664, 7) for slide in slides}
    found = find_signal(tmp_path, truths, sheet, read_config(), {})
    sees, blind = found["arrangement"], found["tissue"]
    assert sees.auc.value > 0.95
    assert sees.ratio > 3
    assert sees.auroc > 0.9
    assert blind.auc.low < 0.5 < blind.auc.high


def test_attention_is_compared_between_patches_of_tumour_and_those_without_any(tmp_path):
    regions = np.full((16, 24), CODE["stroma"], np.uint8)
    regions[:8, :8] = CODE["tumour"]  # one patch whole, half of the one below, a quarter of the last
    regions[8:12, :8] = CODE["tumour"]
    regions[8:12, 8:12] = CODE["tumour"]
    coords = np.array([[0, 0], [0, 128], [128, 128], [128, 0], [256, 0]])
    truth = Truth(regions, np.empty((0, 2)), coords)
    assert truth.shares(CODE["tumour"]).tolist() == [1, 0.5, 0.25, 0, 0]
    with h5py.File(tmp_path / "attention.h5", "w") as file:
        file["s/attention"], file["s/coords"] = [0.4, 0.2, 0.15, 0.2, 0.05], coords
    ratio, auroc = attention_on_tumour(tmp_path / "attention.h5", {"s": truth})
    assert ratio == pytest.approx(0.3 / 0.125)
    assert auroc == pytest.approx((1 + 1 + 0.5 + 1) / 4)
