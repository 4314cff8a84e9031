"""What runs when the slide sheet changes."""

import json
import os
import shutil
from typing import Any

import pytest

from tests.workflow.config_keys import with_values
from tests.workflow.conftest import Workplace
from tests.workflow.reruns.dry_runs import computing, rules, wildcards
from tests.workflow.reruns.every_key import every_key, more_rows
from tests.workflow.tiny import slide_rows

pytestmark = pytest.mark.slow
NEW_SLIDE = dict.fromkeys(more_rows()[0], "") | {"slide": "P08-1", "patient": "P08", "path": "new.svs"}


def with_sheet(place: Workplace, rows: list[dict[str, str]]) -> dict[str, Any]:
    """The configuration with another sheet; its path reruns nothing, so that the finished one stays as it is."""
    place.write_sheet("other.csv", rows)
    return with_values(every_key(), {"slides.sheet": "other.csv"})


def test_a_new_column_and_another_order_run_nothing_but_the_table_of_the_cohort(complete, dry):
    rows = more_rows()
    assert dry.plan(complete.folder, with_sheet(complete, [{**row, "grade": "2"} for row in rows])) == []
    assert rules(dry.plan(complete.folder, with_sheet(complete, rows[::-1]))) == {"summarise_cohort", "list_left_out"}


def test_a_changed_label_runs_its_task_and_an_encoder_that_leaves_its_patients_out(complete, dry):
    rows = [{**row, "subtype": ""} if row["slide"] == "P06-1" else row for row in more_rows()]
    config = with_sheet(complete, rows)
    jobs = dry.plan(complete.folder, config)
    assert computing(jobs) - {"compare_study"} == {"split_patients", "train_mil", "draw_heatmaps", "make_tables"}
    assert wildcards(jobs, "train_mil", "task") == {"subtype", "centres", "dealt"}
    jobs = dry.plan(complete.folder, with_values(config, {"encoders.simclr.pretrain.exclude_patients_of": ["subtype"]}))
    assert wildcards(jobs, "choose_slides", "encoder") == wildcards(jobs, "pretrain", "encoder") == {"simclr"}


def test_a_renamed_patient_is_split_anew_where_there_is_a_label(complete, dry):
    rows = [{**row, "patient": "P99"} if row["slide"] == "P14-2" else row for row in more_rows()]
    unlabelled = dry.plan(complete.folder, with_sheet(complete, rows))
    assert computing(unlabelled) == {"summarise_cohort", "list_left_out", "make_tables"}
    rows = [{**row, "patient": "P99"} if row["patient"] == "P05" else row for row in more_rows()]
    jobs = dry.plan(complete.folder, with_sheet(complete, rows))
    assert wildcards(jobs, "split_patients", "task") == {"subtype", "centres", "dealt"}


def test_a_stated_spacing_runs_its_slide_alone_and_an_assumed_one_the_others(complete, dry):
    rows = [{**row, "spacing_um": "0.5"} if row["slide"] == "P01-1" else row for row in more_rows()]
    jobs = dry.plan(complete.folder, with_sheet(complete, rows))
    assert wildcards(jobs, "segment_tissue", "part") == wildcards(jobs, "tile_slide", "part") == {"P01-1"}
    jobs = dry.plan(complete.folder, with_values(every_key(), {"slides.assumed_spacing_um": 0.4}))
    unstated = {row["slide"] for row in more_rows() if not row["spacing_um"]}
    assert wildcards(jobs, "segment_tissue", "part") == unstated and len(unstated) == len(rows) - 1


def test_a_new_slide_is_prepared_alone_and_no_task_without_its_label_is_split_again(complete, dry):
    config = with_sheet(complete, [*more_rows(), NEW_SLIDE])
    shutil.copyfile(complete.folder / "results/phantom/slides/P01-1.svs", complete.folder / "new.svs")
    jobs = dry.plan(complete.folder, config)
    for rule in ("segment_tissue", "tile_slide", "pack_tiles"):
        assert wildcards(jobs, rule, "part") == {"P08-1"}, rule
    assert wildcards(jobs, "pretrain", "encoder") == {"dino", "simclr", "ibot", "byol"}  # it is in what they train on
    batches = wildcards(jobs, "embed_slides", "encoder", "batch")
    assert len({batch for _, batch in batches}) == 2
    for encoder in ("published", "dino_untrained", "ibot_untrained"):  # only the batch that it is in
        assert len({batch for other, batch in batches if other == encoder}) == 1, encoder
    assert not rules(jobs) & {"draw_slide", "draw_patches", "export_encoder", "describe_features", "split_patients"}
    assert wildcards(jobs, "embed_patches", "encoder") == {"dino", "simclr", "ibot", "byol"}


def test_a_new_label_concerns_its_task_alone(complete, dry):
    rows = [{**row, "stage": "II"} if row["patient"] == "P05" else row for row in more_rows()]
    jobs = dry.plan(complete.folder, with_sheet(complete, rows))
    assert computing(jobs) == {"split_patients", "train_mil", "draw_heatmaps", "make_tables"}
    assert wildcards(jobs, "split_patients", "task") == wildcards(jobs, "train_mil", "task") == {"stage"}
    assert wildcards(jobs, "make_tables", "kind") == {"slide"}


def test_only_a_repaired_slide_is_embedded_again(finished, tmp_path):
    place = Workplace(tmp_path / "broken")
    shutil.copytree(finished.folder, place.folder)
    rows = slide_rows()
    own = place.folder / "own.svs"
    whole = (place.folder / rows[0]["path"]).read_bytes()
    own.write_bytes(whole[: len(whole) // 3])
    rows[0] = {**rows[0], "path": "own.svs"}
    place.write_sheet("slides.csv", rows)
    folder = place.folder / "results/features/dino_untrained/slides/p64"
    targets = [str(file.relative_to(place.folder)) for file in sorted((folder / "batches").iterdir())]

    def embedded() -> dict[str, int]:
        """Times of change of the features, after a run."""
        run = place.snakemake("--cores", "2", *targets)
        assert run.returncode == 0, run.stdout + run.stderr
        return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.h5")}

    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.h5")}
    broken = embedded()
    metadata = json.loads((place.folder / "results/slides/P01-1/metadata.json").read_text())
    assert metadata["status"] == "excluded" and "own.svs" in metadata["reason"]
    assert {name for name in broken if broken[name] != before[name]} == {"P01-1.h5"}
    own.write_bytes(whole)
    os.utime(own, (10**9, 10**9))  # as copies that keep the date do
    repaired = embedded()
    assert {name for name in broken if broken[name] != repaired[name]} == {"P01-1.h5"}
    assert json.loads((place.folder / "results/slides/P01-1/metadata.json").read_text())["status"] == "ok"
