"""Two real slides and a hundred real patches: from the files to features and patch scores."""

import csv

import h5py
import numpy as np
import pytest

from tests.workflow.conftest import REPOSITORY, read_table

DATA = REPOSITORY.parent / "shared" / "data"
SLIDES = {"aperio": "cmu-1-small-region.svs", "unstated": "tcga-cr-7395.svs"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real slides and patches are not in {DATA}"),
]


def test_real_slides_go_through_the_chain(workplace):
    rows = [{"slide": slide, "patient": slide, "path": str(DATA / file)} for slide, file in SLIDES.items()]
    workplace.write_sheet("slides.csv", rows)
    with (DATA / "patches100/labels.csv").open(newline="") as file:
        labels = list(csv.DictReader(file))
    seen: dict[str, int] = {}
    for row in labels:
        row["path"] = str(DATA / "patches100" / row["path"])
        # Every third patch of a class is tested on.
        seen[row["label"]] = seen.get(row["label"], 0) + 1
        row["split"] = "train" if seen[row["label"]] % 3 else "test"
    workplace.write_sheet("patches.csv", labels)
    network = {"model": "test_vit", "weights": False, "input_px": 160, "spacing_um": 0.5}
    rgb = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    workplace.write_config(
        {
            "slides": {"sheet": "slides.csv", "assumed_spacing_um": 0.5},
            "tilings": {"p160": {"patch_px": 160, "spacing_um": 0.5}},
            "encoders": {"random": {"timm": {**network, **rgb}}},
            "patch_datasets": {"colorectal": {"source": "patches.csv", "spacing_um": 0.5}},
            "patch_tasks": {
                "tissue": {"train": "colorectal:train", "test": "colorectal:test", "probe": {"probe": "knn"}}
            },
            "slide_tasks": {},
        }
    )
    run = workplace.snakemake("--cores", "2", "all", "results/features/random/slides/p160/batches/0.json")
    assert run.returncode == 0, (run.stdout + run.stderr)[-6000:]

    cohort = {row["slide"]: row for row in read_table(workplace.folder / "results/tables/cohort.csv")}
    assert (cohort["aperio"]["spacing_um"], cohort["aperio"]["spacing_source"]) == ("0.499", "vendor")
    assert (cohort["unstated"]["spacing_um"], cohort["unstated"]["spacing_source"]) == ("0.5", "assumed")
    for slide in SLIDES:
        with h5py.File(workplace.folder / f"results/features/random/slides/p160/{slide}.h5") as file:
            features = file["features"][:]
            assert len(features) == len(file["coords"]) == int(cohort[slide]["patches_p160"]) > 10
            assert np.isfinite(features).all() and features.std(0).max() > 0
    (scores,) = read_table(workplace.folder / "results/tables/classification.csv")
    # Colour alone tells fat and background from cells, even to random weights: better than chance, below perfect.
    assert 0.55 < float(scores["auc"]) < 0.999
