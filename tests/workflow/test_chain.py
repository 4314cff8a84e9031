"""From drawn slides to tables, once, and what is in them."""

import json
import re
import shutil

import cv2
import h5py
import pytest

from tests.workflow.config_keys import with_values
from tests.workflow.conftest import Workplace, read_table
from tests.workflow.tiny import CONFIG, QUOTED, SLIDES, STARRED

pytestmark = pytest.mark.slow


def test_every_encoder_has_its_row_in_every_table(finished):
    tables = finished.folder / "results/tables"
    slide, patches = read_table(tables / "slide.csv"), read_table(tables / "classification.csv")
    assert {row["encoder"] for row in slide} == {row["encoder"] for row in patches} == set(CONFIG["encoders"])
    assert {row["encoder"] for row in read_table(tables / "regression.csv")} == {"dino", "dino_untrained"}
    for kind in ("slide", "classification", "regression", "cohort"):
        assert (tables / f"{kind}.md").stat().st_size and (tables / f"{kind}.tex").stat().st_size


def test_every_training_run_has_its_verdict(finished):
    rows = {row["encoder"]: row for row in read_table(finished.folder / "results/tables/pretraining.csv")}
    assert list(rows) == ["dino", "simclr"]
    assert {row["steps"] for row in rows.values()} == {"4"}
    assert all(row["verdict"] and float(row["rankme"]) >= 1 for row in rows.values())
    assert list((finished.folder / "results/encoders/dino/tensorboard").glob("events.out.tfevents.*"))


def test_every_row_says_whose_slides_its_encoder_had_seen(finished):
    for row in read_table(finished.folder / "results/tables/slide.csv"):
        assert row["patients_seen"] == ("0" if row["encoder"] == "dino_untrained" else row["patients"])
    card = json.loads((finished.folder / "results/encoders/simclr/encoder.json").read_text(encoding="utf-8"))
    assert card["slides"] == sorted(set(SLIDES.values()) - {"P14-2"})  # it has no tissue
    assert {row["groups_seen"] for row in read_table(finished.folder / "results/tables/classification.csv")} == {"0"}


def test_a_slide_without_tissue_is_a_result(finished):
    rows = {row["slide"]: row for row in read_table(finished.folder / "results/tables/cohort.csv")}
    assert list(rows) == list(SLIDES.values())
    assert rows["P14-2"]["patches_p64"] == "0"
    assert rows["P14-2"]["reason"]
    assert all(int(row["patches_p64"]) > 0 for slide, row in rows.items() if slide != "P14-2")


def test_names_are_plain_text(finished):
    assert not list(finished.folder.rglob("owned"))
    for folder in ("slides", "logs/segment_tissue", "tiles/p64", "shards/p64", "features/simclr/slides/p64"):
        stems = {
            path.name.removesuffix(".h5").removesuffix(".log")
            for path in (finished.folder / "results" / folder).iterdir()
        }
        assert set(SLIDES.values()) <= stems, folder
    scored = read_table(finished.folder / "results/slide_eval/subtype/dino/abmil/1.0/predictions.csv")
    assert {QUOTED, STARRED} < {row["slide"] for row in scored}


def test_the_cohort_is_shown_and_what_is_missing_is_named(finished):
    page = cv2.imread(str(finished.folder / "results/figures/cohort/p64/page_001.jpg"))
    assert page.shape[1] > 1000
    (missing,) = read_table(finished.folder / "results/tables/left_out.csv")
    assert (missing["slide"], missing["reason"]) == ("P14-2", "no tissue found")
    assert "1 slide was left out:\n  P14-2: no tissue found" in (finished.folder / "said.txt").read_text()


def test_every_head_shows_where_it_looked_or_says_why_not(finished):
    shown = []
    for encoder in CONFIG["encoders"]:
        for model in CONFIG["slide_tasks"]["subtype"]["models"]:
            for slot in ("right_1", "right_2", "wrong_1", "wrong_2"):
                name = f"subtype/{encoder}/{model}/{slot}"
                assert (finished.folder / f"results/figures/heatmaps/{name}.svg").stat().st_size
                assert (finished.folder / f"results/heatmaps/{name}.tiff").stat().st_size
                text = (finished.folder / f"results/heatmaps/{name}.geojson").read_text(encoding="utf-8")
                content = json.loads(text)
                assert bool(content["features"]) != bool(content["histossl"].get("reason"))
                shown += [content["histossl"]["slide"]] if content["features"] else []
    assert set(shown) <= set(SLIDES.values())
    assert shown


def test_features_lie_beside_their_coordinates(finished):
    for slide in SLIDES.values():
        with (
            h5py.File(finished.folder / f"results/features/dino/slides/p64/{slide}.h5") as features,
            h5py.File(finished.folder / f"results/tiles/p64/{slide}.h5") as tiles,
        ):
            assert features["features"].shape == (len(tiles["coords"]), 48)
            assert (features["coords"][:] == tiles["coords"][:]).all()


def test_progress_of_training_is_seen(finished):
    said = (finished.folder / "said.txt").read_text()
    assert re.search(r"\[\w+\] 4/4 steps, loss [\d.]+.* images/s", said), said[-3000:]


def test_evaluated_again_tables_are_the_same_byte_for_byte_with_other_threads_too(finished, tmp_path):
    again = Workplace(tmp_path / "again")
    shutil.copytree(finished.folder, again.folder)
    made = [again.folder / "results" / name for name in ("splits", "slide_eval", "patch_eval", "tables")]
    for folder in made:
        shutil.rmtree(folder)
    again.write_config(with_values(CONFIG, {"compute.mil_threads": 2, "compute.probe_threads": 1}))
    run = again.snakemake("--cores", "2")
    assert run.returncode == 0, (run.stdout + run.stderr)[-8000:]
    files = [path.relative_to(again.folder) for folder in made for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    files = [file for file in files if file.stem != "costs"]  # time it took
    for file in files:
        assert (finished.folder / file).read_bytes() == (again.folder / file).read_bytes(), file
