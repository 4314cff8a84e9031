import os
from pathlib import Path

import pytest

from histossl.cohort.run_start import check_slurm_run, jobs_at_work
from histossl.config.sheets import SlideRow
from histossl.errors import UserError


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Put a squeue on the PATH that says `lines` and exits with `code`."""

    def answer(*lines, code=0):
        program = tmp_path / "bin/squeue"
        program.parent.mkdir(exist_ok=True)
        text = "\n".join(lines)
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\necho no controller >&2\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return answer


def sheet(slide="S1", path="S1.svs", tissue=""):
    return {slide: SlideRow(slide, "P1", path, None, tissue, {})}


def test_jobs_of_this_folder_that_snakemake_submitted_are_found(tmp_path, squeue):
    folder = tmp_path / "a|b"
    folder.mkdir()
    squeue(
        f"11|{folder}|rule_pretrain_wildcards_dino",
        f"12_3|{folder}|rule_slides",
        f"13|{folder}|(null)",
        f"14|{tmp_path}|rule_pretrain",
    )
    assert jobs_at_work(folder) == ["11", "12_3"]
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert jobs_at_work(link) == ["11", "12_3"]


def test_jobs_still_at_work_are_named_with_the_command_that_ends_them(tmp_path, squeue):
    squeue(f"11|{tmp_path}|rule_x", f"12|{tmp_path}|rule_y")
    with pytest.raises(UserError, match=r"2 Slurm job\(s\).*`scancel 11 12`"):
        check_slurm_run(sheet(), tmp_path)


def test_a_queue_without_our_jobs_is_passed(tmp_path, squeue):
    squeue("")
    check_slurm_run(sheet('a b $(x) `y` " ;', "c, d.svs"), tmp_path)


def test_no_answer_is_no_empty_queue(tmp_path, squeue, monkeypatch):
    squeue(code=1)
    with pytest.raises(UserError, match="no controller"):
        check_slurm_run(sheet(), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="squeue"):
        check_slurm_run(sheet(), tmp_path)


@pytest.mark.parametrize("row", [sheet(slide="It's"), sheet(slide="a,b"), sheet(path="It's.svs"), sheet(tissue="'")])
def test_a_name_that_a_job_cannot_take_is_named(squeue, row):
    squeue("")
    with pytest.raises(UserError, match="rename it"):
        check_slurm_run(row, Path.cwd())
