"""A GPU belongs to one job at a time.

Snakemake's local `gpu` resource is a counter that names no device (snakemake issue 281): without a lease, all jobs
would land on GPU 0. A lease is a lock on a file, one a device, that the kernel lets go of when the last process of the
job ends, however it ends.
"""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

POLL_S = 0.5


def visible_devices(environment: Mapping[str, str]) -> list[str]:
    """Devices this process may use: those of CUDA_VISIBLE_DEVICES where it is set, else all of the machine."""
    stated = environment.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        devices = dict.fromkeys(device.strip() for device in stated.split(","))
        return [device for device in devices if device not in ("", "-1")]
    try:
        # By UUID: the numbers of device files are not those that CUDA counts by inside a container.
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def lease_folder(environment: Mapping[str, str]) -> Path:
    """Where the locks lie: one folder a user, and within a Slurm job, whose devices are its own, one a job."""
    job = environment.get("SLURM_JOB_ID", "")
    return Path(tempfile.gettempdir()) / f"histossl-gpus-{os.getuid()}{f'-{job}' if job else ''}"


def lease_devices(devices: list[str], count: int, folder: Path) -> tuple[list[str], list[int]]:
    """Wait until `count` of `devices` are free, and hold them until this process and its children end.

    Jobs are served in the order of a queue lock: one that wants four devices is not overtaken for ever by those that
    want one, and no two jobs wait for each other's devices.

    Returns:
        The devices, and the descriptors of the locks; keep these open, also over `exec`.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    queue = os.open(folder / "queue.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(queue, fcntl.LOCK_EX)
    held: dict[str, int] = {}
    try:
        while len(held) < min(count, len(devices)):
            for device in devices:
                if device not in held and len(held) < count and (lock := _try_lock(folder, device)) is not None:
                    held[device] = lock
            if len(held) < min(count, len(devices)):
                time.sleep(POLL_S)
    finally:
        os.close(queue)
    return list(held), list(held.values())


def _try_lock(folder: Path, device: str) -> int | None:
    lock = os.open(folder / f"{device.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    os.set_inheritable(lock, True)
    return lock
