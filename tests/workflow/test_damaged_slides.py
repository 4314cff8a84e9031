"""Damaged slides end in a reason, never in a crash, a hang or a half-written file.

A few here; `benchmarks/fuzz_slides.py` does the same with hundreds.
"""

import re
import subprocess
import sys

from tests.workflow.conftest import REPOSITORY

BENCHMARK = REPOSITORY / "benchmarks" / "fuzz_slides.py"


def fuzz(tmp_path, slides, seed):
    command = [sys.executable, str(BENCHMARK), f"--folder={tmp_path / 'fuzz'}", f"--slides={slides}", f"--seed={seed}"]
    done = subprocess.run([*command, "--reasons"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n".join(re.findall("BROKEN.*", done.stdout)) + done.stderr[-3000:]
    assert f"{slides} slides in" in done.stdout
    assert re.findall("0 broke a bound", done.stdout)
    return done.stdout


def test_damaged_slides_end_in_a_reason(tmp_path):
    said = fuzz(tmp_path, slides=38, seed=11)
    # Some must get through, and some must not: else nothing has been tested.
    outcomes = re.findall(r"^\d{4}_\w+: ([a-z ]+),", said, re.MULTILINE)
    assert len(outcomes) == 38
    assert outcomes.count("patches") >= 3
    assert outcomes.count("excluded") >= 15
