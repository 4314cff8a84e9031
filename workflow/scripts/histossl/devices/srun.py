"""Several nodes of a Slurm job: how a command is started on each of them, and where they meet."""

import shutil
import socket
from collections.abc import Mapping

from histossl.errors import UserError


def srun_command(nodes: int, environment: Mapping[str, str]) -> list[str]:
    """The command that starts another one on each node of this Slurm job, once.

    Raises:
        UserError: this isn't within a Slurm job of as many nodes.
    """
    granted = environment.get("SLURM_JOB_NUM_NODES")  # Snakemake's job step takes it out of the environment
    if "SLURM_JOB_ID" not in environment or shutil.which("srun") is None:
        raise UserError(
            f"{nodes} nodes are reached within a Slurm job alone; use the profile profiles/slurm, or set `compute: "
            "pretrain_nodes` to 1"
        )
    if granted is not None and int(granted) != nodes:
        raise UserError(f"the Slurm job has {granted} node(s), but --nodes is {nodes}; make the two equal")
    counts = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    # The step shares what the job has with the step that it may run within; when a node fails, the others end too.
    return ["srun", *counts, "--overlap", "--export=ALL", "--kill-on-bad-exit=1"]


def free_address() -> str:
    """This host's name and a port that is free now: a job's first node, on which its script runs, leads the others."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return f"{socket.gethostname()}:{probe.getsockname()[1]}"
