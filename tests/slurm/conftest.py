import subprocess

import pytest

from tests.slurm.cluster import TOY


@pytest.fixture(scope="session")
def slurm():
    """A Slurm of two nodes on this machine."""
    started = subprocess.run([TOY, "up"], capture_output=True, text=True)
    if started.returncode != 0:
        reason = (started.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"no Slurm could be started here: {reason}")
    yield
    subprocess.run([TOY, "down"], check=True)
