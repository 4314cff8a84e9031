"""Start a script on the GPUs that its job was granted: `launch.py --gpus N script.py ARGUMENT...`.

Alone on a GPU, or on the CPU, this process becomes the script. Several processes are torchrun's, one for each GPU. On
several nodes of a Slurm job, srun starts this on each of them.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping

from histossl.cli import run
from histossl.devices.lease import lease_devices, lease_folder, visible_devices
from histossl.errors import UserError


def main(argv: list[str] | None = None) -> None:
    """Lease devices, name them in CUDA_VISIBLE_DEVICES, and become the script or start it several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, required=True, help="how many on each node; 0 runs on the CPU")
    parser.add_argument("--nodes", type=int, default=1, help="how many of the Slurm job")
    parser.add_argument("--processes", type=int, default=1, help="on each node, where it runs on the CPU")
    parser.add_argument("--meet", default="", help="HOST:PORT of the first node; srun's tasks are given it")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the script and its arguments")
    arguments = parser.parse_args(argv)
    if arguments.nodes > 1 and not arguments.meet:
        own = sys.argv[1:] if argv is None else argv
        command = srun_command(arguments.nodes, os.environ)
        os.execvp(command[0], [*command, sys.executable, __file__, f"--meet={free_address()}", *own])
    environment = dict(os.environ)
    devices = visible_devices(environment) if arguments.gpus else []
    if not devices:
        if arguments.gpus and arguments.nodes > 1:
            raise UserError(f"no GPU is visible on {socket.gethostname()}; ask for GPUs of each node (gres), or none")
        if arguments.gpus:
            print("no GPU is visible here: running on the CPU", file=sys.stderr)
        environment["CUDA_VISIBLE_DEVICES"] = ""
    else:
        devices, _ = lease_devices(devices, arguments.gpus, lease_folder(environment))
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    processes = len(devices) or arguments.processes
    if processes * arguments.nodes > 1:
        # An exception from a signal would be taken for a failed import; there is nothing to clear away yet.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Not before: torch takes seconds to import.
        from histossl.devices.torchrun import start_processes

        os.environ.update(environment)
        sys.exit(start_processes(arguments.command, processes, arguments.nodes, arguments.meet))
    os.execve(sys.executable, [sys.executable, *arguments.command], environment)


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


if __name__ == "__main__":
    run(main)
