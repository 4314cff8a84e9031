"""A GPU belongs to one job at a time.

Snakemake's local `gpu` resource is a counter that names no device (snakemake issue 281): without a lease, all jobs
would land on GPU 0. A lease is a lock on a file, one a device, that the kernel lets go of when the last process of the
job that holds its descriptor ends, however it ends. A process that the job forks and leaves behind keeps the device:
it may still be using it. One that is started anew (`subprocess`, as torchrun's workers are) does not.
"""

import errno
import fcntl
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from histossl.errors import UserError

POLL_S = 0.5


def machine_devices() -> list[str]:
    """UUIDs of the machine's GPUs, in nvidia-smi's order; none without a driver."""
    # By UUID: the numbers of device files are not those that CUDA counts by inside a container.
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def visible_devices(environment: Mapping[str, str], machine: Sequence[str]) -> list[str]:
    """Devices this process may use: those of CUDA_VISIBLE_DEVICES where it is set, else all of the machine.

    A Slurm job that names none has none: those of the machine may be another job's.

    Args:
        environment: of the process.
        machine: UUIDs of the machine's GPUs.
    """
    stated = environment.get("CUDA_VISIBLE_DEVICES")
    if stated is None:
        return [] if "SLURM_JOB_ID" in environment else list(machine)
    devices: dict[str, None] = {}
    for device in map(str.strip, stated.split(",")):
        if not _is_device(device, machine):
            break  # CUDA looks no further either: "0,-1,1" is 0 alone, Slurm's "NoDevFiles" is nothing
        devices[device] = None
    return list(devices)


def lease_folder(environment: Mapping[str, str]) -> Path:
    """Where the locks lie: one folder a user, and within a Slurm job, whose devices are its own, one a job.

    Not below TMPDIR, in which two workflows may differ, unless Slurm makes it and clears it away.
    """
    job = environment.get("SLURM_JOB_ID", "")
    parent = environment.get("HISTOSSL_GPU_LOCKS") or (tempfile.gettempdir() if job else "/tmp")
    return Path(parent) / f"histossl-gpus-{os.getuid()}{f'-{job}' if job else ''}"


def lease_devices(
    devices: Sequence[str], count: int, folder: Path, machine: Sequence[str] = ()
) -> tuple[list[str], list[int]]:
    """Wait until `count` of `devices` are free, and hold them until this process and its children end.

    Who waits has a ticket: it leaves alone the devices that an earlier ticket names. So a job that wants four devices
    is not overtaken by those that want one, no two jobs hold what the other waits for, and no device is left idle that
    only a later ticket names.

    Args:
        devices: as CUDA_VISIBLE_DEVICES names them.
        count: how many; all of them where there are fewer.
        folder: of the locks.
        machine: UUIDs of the machine's GPUs. A number is the place of one in this list.

    Returns:
        The devices, and the descriptors of the locks; keep these open, also over `exec`.

    Raises:
        UserError: the locks cannot be kept in that folder.
    """
    names: dict[str, str] = {}
    for device in devices:
        names.setdefault(_lock_name(device, machine), device)
    wanted, held = min(count, len(names)), dict[str, int]()
    try:
        locks = [_hold_folder(folder)]
        with _alone(folder):
            ticket, ticket_lock = _draw_ticket(folder, names)
        for attempt in itertools.count():
            with _alone(folder):
                free = [name for name in names if name not in held.keys() | _named_earlier(folder, ticket)]
                for name in free:
                    if len(held) < wanted and (lock := _try_lock(folder / f"{name}.lock")) is not None:
                        held[name] = lock
                if len(held) == wanted:
                    ticket.unlink()
                    break
            if attempt == 0:
                print("waiting for a free GPU", file=sys.stderr)
            time.sleep(POLL_S)
        os.close(ticket_lock)
    except OSError as error:
        raise UserError(
            f"{folder}: the locks of GPUs cannot be kept there ({error.strerror}); name another folder of this machine "
            "in HISTOSSL_GPU_LOCKS"
        ) from error
    locks += held.values()
    for lock in locks:
        os.set_inheritable(lock, True)
    return [device for name, device in names.items() if name in held], locks


def _is_device(name: str, machine: Sequence[str]) -> bool:
    if name.isdecimal():
        return not machine or int(name) < len(machine)
    return name.startswith(("GPU-", "MIG-"))


def _lock_name(device: str, machine: Sequence[str]) -> str:
    """One name for one device: `0`, its UUID and the start of its UUID mean the same in two workflows."""
    if device.isdecimal() and int(device) < len(machine):
        return machine[int(device)]
    whole = [uuid for uuid in machine if uuid.startswith(device)]
    return (whole[0] if len(whole) == 1 else device).replace("/", "_")


def _hold_folder(folder: Path) -> int:
    """Make the folder and keep systemd-tmpfiles, which respects locks of folders, from clearing away old locks."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user")
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """For moments: tickets and locks do not change while one process looks at them."""
    lock = os.open(folder / "tickets.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _draw_ticket(folder: Path, names: Iterable[str]) -> tuple[Path, int]:
    """A ticket later than all, and the descriptor of its lock: one whose lock is free is of a process that is gone."""
    number = 1 + max((int(path.stem) for path in folder.glob("*.ticket")), default=0)
    ticket = folder / f"{number}.ticket"
    lock = os.open(ticket, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(lock, "\n".join(names).encode())
    return ticket, lock


def _named_earlier(folder: Path, ticket: Path) -> set[str]:
    """Devices that earlier tickets name; those of processes that are gone are cleared away."""
    named: set[str] = set()
    for path in folder.glob("*.ticket"):
        if int(path.stem) >= int(ticket.stem):
            continue
        if (lock := _try_lock(path)) is None:
            named |= set(path.read_text(encoding="utf-8").splitlines())
        else:
            path.unlink()
            os.close(lock)
    return named


def _try_lock(path: Path) -> int | None:
    """Lock a file; None while another process holds it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
