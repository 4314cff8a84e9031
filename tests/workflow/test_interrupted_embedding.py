"""Killed at random moments, embedding goes on from what was complete and ends with the same files.

A few kills here; `benchmarks/kill_embedding.py` deals more, over more slides.
"""

import subprocess
import sys

import pytest

from tests.workflow.conftest import REPOSITORY

pytestmark = pytest.mark.slow
BENCHMARK = REPOSITORY / "benchmarks" / "kill_embedding.py"


def test_killed_runs_end_with_the_same_files_and_compute_nothing_twice(tmp_path):
    options = [f"--folder={tmp_path / 'kills'}", "--kills=2", "--slides=3", "--seed=2"]
    done = subprocess.run([sys.executable, str(BENCHMARK), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "2 kills in" in done.stdout
    assert "every file is equal" in done.stdout
