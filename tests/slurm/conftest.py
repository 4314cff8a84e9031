import fcntl
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.slurm.cluster import TOY


@pytest.fixture(scope="session")
def slurm():
    """A Slurm of two nodes on this machine. Two test runs at once would crash each other's nodes."""
    with (Path(tempfile.gettempdir()) / "toy-slurm.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.skip("another test run uses the Slurm of this machine")
        started = subprocess.run([TOY, "up"], capture_output=True, text=True)
        if started.returncode != 0:
            subprocess.run([TOY, "down"], check=False)
            reason = (started.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"no Slurm could be started here: {reason}")
        yield
        subprocess.run([TOY, "down"], check=True)
