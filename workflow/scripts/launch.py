"""Start a script on the GPUs that its job was granted: `launch.py --gpus N script.py ARGUMENT...`."""

import argparse
import os
import sys

from histossl.cli import run
from histossl.devices.lease import lease_devices, lease_folder, visible_devices


def main(argv: list[str] | None = None) -> None:
    """Lease devices, name them in CUDA_VISIBLE_DEVICES, and become the script (through torchrun on several)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, required=True, help="how many; 0 runs on the CPU")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the script and its arguments")
    arguments = parser.parse_args(argv)
    environment = dict(os.environ)
    devices = visible_devices(environment) if arguments.gpus else []
    if not devices:
        if arguments.gpus:
            print("no GPU is visible here: running on the CPU", file=sys.stderr)
        environment["CUDA_VISIBLE_DEVICES"] = ""
    else:
        devices, _ = lease_devices(devices, arguments.gpus, lease_folder(environment))
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    command = [sys.executable, *arguments.command]
    if len(devices) > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(len(devices))]
        command = [sys.executable, *torchrun, *arguments.command]
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    run(main)
