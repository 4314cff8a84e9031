"""Start a script on the GPUs that its job was granted: `launch.py --gpus N script.py ARGUMENT...`.

Alone on a GPU, or on the CPU, this process becomes the script. Several processes are torchrun's, one for each GPU. On
several nodes of a Slurm job, srun starts this on each of them.
"""

import argparse
import os
import signal
import socket
import sys

from histossl.cli import run
from histossl.devices.lease import lease_devices, lease_folder, machine_devices, visible_devices
from histossl.devices.machine import machine_line
from histossl.devices.srun import free_address, srun_command
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
    machine = machine_devices() if arguments.gpus else []
    devices = visible_devices(environment, machine) if arguments.gpus else []
    if len(devices) < arguments.gpus:
        seen = f"{len(devices)} of {arguments.gpus} GPUs are visible" if devices else "no GPU is visible"
        if arguments.nodes > 1:
            raise UserError(f"{seen} on {socket.gethostname()}; ask for as many of each node (gres), or for none")
        print(f"{seen} here: running on {'what there is' if devices else 'the CPU'}", file=sys.stderr)
    if devices:
        devices, _ = lease_devices(devices, arguments.gpus, lease_folder(environment), machine)
    print(machine_line(devices), file=sys.stderr)
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


if __name__ == "__main__":
    run(main)
