"""From drawn slides to tables, once; then what a change of the config, the code or the files runs again."""

import copy
import json
import os
import re
import shutil

import cv2
import h5py
import pytest

from tests.workflow.conftest import REPOSITORY, Workplace, read_table
from tests.workflow.tiny import CONFIG, QUOTED, SLIDES, STARRED, phantom_rows, slide_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("chain"))
    place.write_config(CONFIG)
    place.write_sheet("slides.csv", slide_rows())
    place.write_sheet("phantom.csv", phantom_rows())
    run = place.snakemake("--cores", "2")
    assert run.returncode == 0, (run.stdout + run.stderr)[-8000:]
    (place.folder / "said.txt").write_text(run.stdout + run.stderr)
    return place


def planned(place: Workplace, config: dict | None = None, *arguments: str) -> set[str]:
    """The rules that a dry run would start, `all` left out."""
    place.write_config(config or CONFIG)
    run = place.snakemake("--cores", "2", "--dry-run", *arguments)
    place.write_config(CONFIG)
    assert run.returncode == 0, run.stderr
    table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\n\n", run.stdout + run.stderr, re.DOTALL)
    return {line.split()[0] for line in table.group(1).splitlines()} - {"total", "all"} if table else set()


def edited(path: str, value: object) -> dict:
    config = copy.deepcopy(CONFIG)
    *parents, key = path.split(".")
    inner = config
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[key] = value
    return config


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
    scored = read_table(finished.folder / "results/slide_eval/subtype/dino/abmil/predictions.csv")
    assert {QUOTED, STARRED} < {row["slide"] for row in scored}


def test_the_cohort_is_shown_and_what_is_missing_is_named(finished):
    page = cv2.imread(str(finished.folder / "results/figures/cohort/p64/page_001.jpg"))
    assert page.shape[1] > 1000
    (missing,) = read_table(finished.folder / "results/tables/left_out.csv")
    assert (missing["slide"], missing["reason"]) == ("P14-2", "no tissue found")
    assert "1 slide was left out:\n  P14-2: no tissue found" in (finished.folder / "said.txt").read_text()


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


def test_a_second_run_does_nothing(finished):
    assert planned(finished) == set()


def test_evaluated_again_tables_are_the_same_byte_for_byte_with_other_threads_too(finished, tmp_path):
    again = Workplace(tmp_path / "again")
    shutil.copytree(finished.folder, again.folder)
    made = [again.folder / "results" / name for name in ("splits", "slide_eval", "patch_eval", "tables")]
    for folder in made:
        shutil.rmtree(folder)
    again.write_config(edited("compute", {**CONFIG["compute"], "mil_threads": 2, "probe_threads": 1}))
    run = again.snakemake("--cores", "2")
    assert run.returncode == 0, (run.stdout + run.stderr)[-8000:]
    files = [path.relative_to(again.folder) for folder in made for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    for file in files:
        assert (finished.folder / file).read_bytes() == (again.folder / file).read_bytes(), file


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pretrain_threads", 2),
        ("embed_threads", 2),
        ("embed_batch", 7),
        ("mil_threads", 2),
        ("probe_threads", 1),
        ("pretrain_gpus", 4),
        ("pretrain_nodes", 2),
        ("pretrain_compile", True),
    ],
)
def test_what_only_changes_speed_reruns_nothing(finished, key, value):
    assert planned(finished, edited(f"compute.{key}", value)) == set()


AFTER_ENCODER = {
    "summarise_pretraining",
    "embed_slides",
    "embed_patches",
    "train_mil",
    "probe_patches",
    "make_tables",
    "list_left_out",
}
AFTER_TILES = AFTER_ENCODER | {"pack_tiles", "draw_views", "pretrain", "summarise_cohort", "draw_cohort"}
STAIN = {"method": "reinhard", "reference": str(REPOSITORY / "docs/demo_nests_files.jpg")}
RERUNS = {
    "encoders.dino.pretrain.mean": (
        [0.4, 0.4, 0.4],
        {"pretrain", "export_encoder"} | AFTER_ENCODER,
    ),
    "tables.resamples": (300, {"make_tables"}),
    "patch_tasks.tissue.probes.knn.k": (3, {"probe_patches", "make_tables"}),
    "slide_tasks.subtype.models.abmil.epochs": (3, {"train_mil", "make_tables"}),
    "slide_tasks.subtype.models.clam_sb.instance_patches": (3, {"train_mil", "make_tables"}),
    "slide_tasks.subtype.folds": (3, {"split_patients", "train_mil", "make_tables"}),
    "slide_tasks.subtype.repeats": (2, {"split_patients", "train_mil", "make_tables"}),
    "encoders.simclr.pretrain.steps": (5, {"pretrain"} | AFTER_ENCODER),
    "encoders.simclr.pretrain.health.every_steps": (2, {"pretrain"} | AFTER_ENCODER),
    "shards.max_patches_per_slide": (21, {"pack_tiles", "draw_views", "pretrain"} | AFTER_ENCODER),
    "encoders.dino.pretrain.augmentation.hue": (0.08, {"draw_views", "pretrain"} | AFTER_ENCODER),
    "tilings.p64.min_tissue": (0.6, {"tile_slide"} | AFTER_TILES),
    "tissue.min_area_mm2": (0.03, {"segment_tissue", "tile_slide"} | AFTER_TILES),
    "features.precision": ("bf16", AFTER_ENCODER - {"summarise_pretraining"}),
    "features.on_spacing_mismatch": ("allow", set()),
    "tilings.p64.stain": (STAIN, {"pack_tiles", "draw_views", "pretrain"} | AFTER_ENCODER),
    "patch_datasets.phantom.stain": (STAIN, {"embed_patches", "probe_patches", "make_tables"}),
    "slides.assumed_spacing_um": (0.4, {"segment_tissue", "tile_slide"} | AFTER_TILES),
}


@pytest.mark.parametrize("path", RERUNS)
def test_a_changed_key_reruns_the_stages_that_read_it(finished, path):
    value, expected = RERUNS[path]
    assert planned(finished, edited(path, value)) == expected


def test_touched_sources_and_a_moved_folder_rerun_nothing(finished, tmp_path):
    moved = Workplace(tmp_path / "moved")
    shutil.copytree(finished.folder, moved.folder)  # like a fresh copy on another disk, times of change kept
    assert planned(moved) == set()
    for script in (REPOSITORY / "workflow/scripts").rglob("*.py"):
        os.utime(script)
    assert planned(finished) == set()


def test_a_label_in_another_column_reruns_nothing_and_a_changed_label_the_splits(finished):
    rows = slide_rows()
    finished.write_sheet("slides.csv", [{**row, "stage": "II"} for row in rows])
    assert planned(finished) == set()
    finished.write_sheet("slides.csv", [{**row, "subtype": ""} if row["slide"] == "P06-1" else row for row in rows])
    assert planned(finished) == {"split_patients", "train_mil", "make_tables"}
    finished.write_sheet("slides.csv", rows)


def test_a_patient_renamed_is_seen_in_the_cohort_table_and_the_order_of_the_sheet_nowhere_else(finished):
    rows = slide_rows()
    finished.write_sheet("slides.csv", [{**row, "patient": "P99"} if row["slide"] == "P14-2" else row for row in rows])
    assert planned(finished) == {
        "summarise_cohort",
        "list_left_out",
        "split_patients",
        "train_mil",
        "make_tables",
    }
    finished.write_sheet("slides.csv", rows)
    assert planned(finished) == set()


def test_leaving_out_test_patients_trains_that_encoder_again(finished):
    rows = slide_rows()
    config = edited("encoders.simclr.pretrain.exclude_patients_of", ["subtype"])
    finished.write_sheet("slides.csv", [{**row, "subtype": ""} if row["slide"] == "P06-1" else row for row in rows])
    assert planned(finished, config) == {"choose_slides", "draw_views", "pretrain", "split_patients"} | AFTER_ENCODER
    finished.write_sheet("slides.csv", rows)


def test_an_error_in_the_config_loses_nothing(finished):
    finished.write_config(edited("tilings.p64.patch_pix", 3))
    assert finished.snakemake("--cores", "2").returncode == 1
    finished.write_config(CONFIG)
    assert planned(finished) == set()


def test_only_a_repaired_slide_is_embedded_again(finished, tmp_path):
    place = Workplace(tmp_path / "broken")
    shutil.copytree(finished.folder, place.folder)
    rows = slide_rows()
    own = place.folder / "own.svs"
    whole = (place.folder / rows[0]["path"]).read_bytes()
    own.write_bytes(whole[: len(whole) // 3])
    rows[0] = {**rows[0], "path": "own.svs"}
    place.write_sheet("slides.csv", rows)
    # Encoders stay as they are: what is looked at is embedding.
    fixed = ("--rerun-triggers", "mtime", "params", "code", "input", "--cores", "2")
    targets = [
        f"results/features/dino_untrained/slides/p64/batches/{batch}.json"
        for batch in sorted(
            path.stem for path in (place.folder / "results/features/dino_untrained/slides/p64/batches").iterdir()
        )
    ]
    before = {path.name: path.stat().st_mtime_ns for path in features_of(place)}
    run = place.snakemake(*fixed, *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    metadata = json.loads((place.folder / "results/slides/P01-1/metadata.json").read_text())
    assert metadata["status"] == "excluded" and "own.svs" in metadata["reason"]
    after = {path.name: path.stat().st_mtime_ns for path in features_of(place)}
    assert {name for name in after if after[name] != before[name]} == {"P01-1.h5"}
    own.write_bytes(whole)
    os.utime(own, (10**9, 10**9))  # as copies that keep the date do
    run = place.snakemake(*fixed, *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    repaired = {path.name: path.stat().st_mtime_ns for path in features_of(place)}
    assert {name for name in after if after[name] != repaired[name]} == {"P01-1.h5"}
    assert json.loads((place.folder / "results/slides/P01-1/metadata.json").read_text())["status"] == "ok"


def features_of(place: Workplace) -> list:
    return sorted((place.folder / "results/features/dino_untrained/slides/p64").glob("*.h5"))
