import json
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from histossl.devices.machine import MARK
from histossl.errors import UserError
from histossl.report.run_record import describe_commit, package_versions, record_run
from histossl.report.runs import flatten, read_records, run_sections

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = {"slides": {"sheet": "none.csv"}, "encoders": {"dino": {"seed": 3, "label": "<b>"}}, "compute": {"gpus": 0}}


def git(folder, *arguments):
    own = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *own, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "x")
    return folder


def test_a_commit_and_what_differs_from_it(checkout):
    said = describe_commit(checkout)
    assert len(said["commit"]) == 40 and said["changed_files"] == 0
    (checkout / "pyproject.toml").write_text("")
    assert describe_commit(checkout)["changed_files"] == 1


def test_a_copy_within_something_elses_repository_is_no_checkout(checkout):
    (checkout / "within").mkdir()
    for folder in (checkout / "within", checkout.parent):
        assert describe_commit(folder) == {"commit": None, "changed_files": None}


def test_versions_are_those_installed():
    found = package_versions(REPOSITORY)
    assert found["numpy"] == version("numpy") and found["torch"] == version("torch") and "snakemake" in found
    assert package_versions(REPOSITORY / "nowhere") == {}


def test_several_runs_each_have_their_line_and_what_has_changed_between_them(tmp_path, checkout):
    runs, logs = tmp_path / "runs", tmp_path / "logs"
    record_run(runs, CONFIG, checkout, "local")
    (logs / "pretrain").mkdir(parents=True)
    (logs / "pretrain/dino.log").write_text(MARK + json.dumps({"host": "n7", "processor": "P", "gpus": ["H100"] * 2}))
    record_run(runs, {**CONFIG, "compute": {"gpus": 2}}, checkout, "slurm")
    (logs / "last.log").write_text("")
    (logs / "old.log").write_text("")
    os.utime(logs / "old.log", (1, 1))
    records = read_records(runs)
    tables = {section.title: section for section in run_sections(records, logs)}
    assert [(row[0], row[1], row[4]) for row in tables["Runs"].rows] == [
        ("earlier, no record", "1", ""),
        (records[0]["started"], "1", "local"),
        (records[1]["started"], "1", "slurm"),
    ]
    assert tables["Where networks ran"].rows == [["pretrain", "n7", "P", "2 × H100", "1"]]
    assert tables["Seeds"].rows == [["encoders.dino.seed", "3"]]
    rows = {row[0]: row[1:] for row in tables["Configuration, defaults filled in"].rows}
    assert rows["compute.gpus"] == ["2", f"0 (until the run of {records[0]['started']})"]
    assert rows["encoders.dino.label"] == ["<b>", ""]


def test_no_record_is_no_table_and_a_damaged_one_is_one_sentence(tmp_path):
    assert run_sections(read_records(tmp_path), tmp_path) == []
    for damaged in ("{}", '{"timestamp": 1}', "[]", "{"):
        (tmp_path / "2026.json").write_text(damaged)
        with pytest.raises(UserError, match=r"2026\.json"):
            read_records(tmp_path)


def test_keys_are_flat_and_lists_whole():
    assert dict(flatten({"a": {"b": [1, "x"], "c": {}}, "d": None})) == {"a.b": '[1, "x"]', "a.c": "{}", "d": "null"}
