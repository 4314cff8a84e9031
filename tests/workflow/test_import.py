"""Features that others made, from files to the table; no slide is opened for it."""

import os

import h5py
import numpy as np
import pytest
import torch

from tests.workflow.conftest import Workplace, read_table

pytestmark = pytest.mark.slow
NAMES = ["a", "b 1", 'It\'s "Ü" $(touch owned)', "d", "e", "f", "g", "none"]
CONFIG = {
    "slides": {"sheet": "slides.csv"},
    "tilings": {"p64": {"patch_px": 64, "spacing_um": 1.0}},
    "encoders": {
        "clam": {"features": {"folder": "clam"}},
        "tensors": {"features": {"folder": "clam/pt_files"}},
        "trident": {"features": {"folder": "trident/features_uni_v1"}},
    },
    "features": {"slides_per_job": 4},
    "slide_tasks": {
        "subtype": {
            "label": "subtype",
            "tiling": "p64",
            "folds": 2,
            "validation": 0.0,
            "models": {"abmil": {"epochs": 3, "hidden": 16, "attention": 8}},
        }
    },
    "tables": {"resamples": 100},
    "compute": {"mil_threads": 1},
}


@pytest.fixture
def place(workplace: Workplace) -> Workplace:
    """Eight slides that are empty files; all but one have features, the same in each layout."""
    draw = np.random.default_rng(1)
    for folder in ("slides", "clam/h5_files", "clam/pt_files", "trident/features_uni_v1"):
        (workplace.folder / folder).mkdir(parents=True)
    rows = []
    for number, name in enumerate(NAMES):
        rows.append({"slide": f"s{number}", "patient": f"p{number}", "path": f"slides/{name}.svs"})
        rows[-1]["subtype"] = "ab"[number % 2]
        (workplace.folder / rows[-1]["path"]).touch()
        if name != "none":
            features = draw.normal(number % 2, 1, (20 + number, 12)).astype(np.float32)
            write(workplace.folder / f"clam/h5_files/{name}.h5", features, 32)
            torch.save(torch.from_numpy(features), workplace.folder / f"clam/pt_files/{name}.pt")
            write(workplace.folder / f"trident/features_uni_v1/{name}.h5", features, 1)
    workplace.write_sheet("slides.csv", rows)
    workplace.write_config(CONFIG)
    return workplace


def write(path, features, chunk):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=features, chunks=(chunk, 12) if len(features) >= chunk else None)
        file["coords"] = np.zeros((len(features), 2), np.int32)


def test_each_folder_is_an_encoder_of_its_own(place):
    run = place.snakemake("--cores", "2", "results/tables/slide.csv")
    assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]
    assert not list(place.folder.rglob("owned"))
    rows = {row.pop("encoder"): row for row in read_table(place.folder / "results/tables/slide.csv")}
    assert list(rows) == ["clam", "tensors", "trident"]
    assert [row.pop("vs_best") for row in rows.values()] == ["best", "n.s.", "n.s."]
    assert rows["clam"] == rows["tensors"] == rows["trident"]
    assert (rows["clam"]["slides"], rows["clam"]["patients_seen"]) == ("8", "")
    files = place.folder.glob("results/slide_eval/subtype/*/abmil/1.0/predictions.csv")
    predictions = [read_table(path) for path in files]
    assert len(predictions) == 3
    for lines in predictions:
        assert [line | {"encoder": ""} for line in lines] == [line | {"encoder": ""} for line in predictions[0]]
    assert "Nothing to be done" in planned(place)

    ours = place.folder / "results/features/clam/slides/p64"
    before = {path.name: path.stat().st_mtime_ns for path in ours.glob("*.h5")}
    assert set(before) == {f"s{number}.h5" for number in range(8)}
    # Made again, with an older date as copies have it: that slide alone, and what comes after it.
    changed = place.folder / "clam/h5_files/d.h5"
    write(changed, np.ones((50, 12), np.float32), 32)
    os.utime(changed, (10**9, 10**9))
    said = planned(place)
    assert "import_features        1" in said and "train_mil              1" in said and "describe" not in said
    run = place.snakemake("--cores", "2", "results/tables/slide.csv")
    assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]
    after = {path.name: path.stat().st_mtime_ns for path in ours.glob("*.h5")}
    assert {name for name in after if after[name] != before[name]} <= {"s3.h5", "s7.h5"}  # s7 has none, and is tried
    assert after["s3.h5"] != before["s3.h5"]


def planned(place):
    run = place.snakemake("--cores", "2", "--dry-run", "results/tables/slide.csv")
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr
