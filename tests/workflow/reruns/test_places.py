"""Nothing runs in another folder, beside a fresh clone, or on another machine."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.workflow.reruns.every_key import every_key

pytestmark = pytest.mark.slow


def test_a_fresh_clone_and_a_moved_folder_run_nothing(complete, dry, clone, tmp_path):
    assert dry.plan(complete.folder, every_key(), clone) == []
    moved = tmp_path / "moved"
    shutil.copytree(complete.folder, moved)
    assert dry.plan(moved, every_key(), clone) == []
    shutil.rmtree(moved / ".snakemake")  # what they were made with is unknown then
    assert dry.plan(moved, every_key(), clone) == []


def test_another_machine_and_other_libraries_run_nothing(complete, clone, tmp_path):
    """What can be changed of a machine here: its environment, its number of cores, versions of libraries that draw.

    Another Python is the matter of tests/unit/config/test_fingerprint.py.
    """
    libraries = ("matplotlib", "opencv-python-headless", "pillow", "tensorboard")
    for name in libraries:
        about = tmp_path / f"{name.replace('-', '_')}-99.0.dist-info" / "METADATA"
        about.parent.mkdir()
        about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n", encoding="utf-8")
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {
        "HOME": str(tmp_path),
        "LANG": "C",
        "TZ": "Asia/Tokyo",
        "USER": "other",
        "CUDA_VISIBLE_DEVICES": "3",
    }
    environment |= {"PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "7", "TMPDIR": str(tmp_path)}
    ask = f"import importlib.metadata as m; print(*{{m.version(name) for name in {libraries}}})"

    def run(*command: str) -> str:
        done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    assert run("-c", ask).strip() == "99.0"
    places = ["--snakefile", str(clone / "Snakefile"), "--directory", str(complete.folder)]
    config = ["--configfile", str(complete.folder / "config.yaml")]
    assert "Nothing to be done" in run("-m", "snakemake", *places, *config, "--cores", "1", "--dry-run")
