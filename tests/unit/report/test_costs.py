import json

import pytest

from histossl.devices.machine import MARK
from histossl.errors import UserError
from histossl.report.costs import read_benchmark, summarise_costs

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def job(tmp_path):
    def write(name, s, rss_mb, cpu_s, gpus=None):
        benchmark, log = tmp_path / f"benchmarks/{name}.tsv", tmp_path / f"logs/{name}.log"
        for file in (benchmark, log):
            file.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"{HEAD}{s}\t0:00:00\t{rss_mb}\t1\t1\t1\t0\t0\t0\t{cpu_s}\n")
        lines = "" if gpus is None else "".join(f"{MARK}{json.dumps({'host': 'n', 'gpus': node})}\n" for node in gpus)
        log.write_text(f"first words\n{lines}loss 0.1\n")

    return write


def test_a_stage_adds_up_its_jobs_in_the_order_of_the_pipeline(tmp_path, job):
    job("tile_slide/p64/a.b", 36, 1000, 18)
    job("tile_slide/p64/c", 72, "NA", "-")
    job("pretrain/dino", 3600, 5000, 7200, gpus=[["H100", "H100"], ["A100"]])  # two nodes
    job("train_mil/t/1.0", 360, 10, 1, gpus=[[]])
    job("draw_patches", 1, 1, 1)
    rows = summarise_costs(tmp_path / "benchmarks", tmp_path / "logs", ["tile_slide", "pretrain", "not_run"])
    by = {row["stage"]: row for row in rows}
    assert list(by) == ["tile_slide", "pretrain", "draw_patches", "train_mil", "all"]
    assert by["tile_slide"] == {
        **{"stage": "tile_slide", "jobs": 2, "hours": 0.03, "cpu_hours": 0.005, "gpu_hours": 0.0},
        **{"longest_job_hours": 0.02, "peak_gb": 1.049, "gpus": ""},
    }
    assert by["pretrain"]["gpu_hours"] == 3 and by["pretrain"]["gpus"] == "A100; H100"
    assert by["train_mil"]["gpu_hours"] == 0
    assert by["all"]["jobs"] == 5 and by["all"]["gpu_hours"] == 3


def test_without_word_of_gpus_their_hours_are_not_known(tmp_path, job):
    job("embed_slides/dino/0", 10, 10, 10)
    (row, whole) = summarise_costs(tmp_path / "benchmarks", tmp_path / "logs", [])
    assert row["gpu_hours"] is None and whole["gpu_hours"] is None


def test_without_a_benchmark_the_sum_is_of_no_job(tmp_path):
    (row,) = summarise_costs(tmp_path / "benchmarks", tmp_path / "logs", ["pretrain"])
    assert (row["stage"], row["jobs"], row["hours"]) == ("all", 0, None)


@pytest.mark.parametrize("text", ["", HEAD, "s\n1\n", HEAD + "x\n"])
def test_a_damaged_benchmark_is_one_sentence(tmp_path, text):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(UserError, match=r"a\.tsv"):
        read_benchmark(tmp_path / "a.tsv")
