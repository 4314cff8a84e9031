"""What a job runs on: processor, memory, GPUs. One line of its log says so, and the ledger of costs reads it there."""

import json
import os
import platform
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

MARK = "machine: "
"""How the line begins; the rest is JSON."""
UNKNOWN = "unknown GPU"


def list_gpus() -> dict[str, str]:
    """By UUID, the name, memory and driver of the machine's GPUs, in nvidia-smi's order; none without a driver."""
    command = ["nvidia-smi", "--query-gpu=uuid,name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        return {}
    found = [[part.strip() for part in line.split(",")] for line in listed.stdout.splitlines()]
    # Not knowing what a GPU is called must not end a job.
    return {parts[0]: f"{parts[1]}, {parts[2]}, driver {parts[3]}" for parts in found if len(parts) == 4}


def name_devices(devices: Sequence[str], gpus: Mapping[str, str]) -> list[str]:
    """What devices are that CUDA_VISIBLE_DEVICES names by UUID or by their place; a part of a GPU stays unknown."""
    places = list(gpus.values())
    return [
        gpus.get(device) or (places[int(device)] if device.isdigit() and int(device) < len(places) else UNKNOWN)
        for device in devices
    ]


def describe_machine(gpus: Sequence[str]) -> dict[str, Any]:
    """Host, processor, the cores that this process may use, memory (GB), and `gpus` as they are named."""
    try:
        cores = len(os.sched_getaffinity(0))
        memory_gb = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # not on Linux
        cores, memory_gb = os.cpu_count() or 0, None
    return {
        "host": socket.gethostname(),
        "processor": _processor(),
        "cores": cores,
        "memory_gb": memory_gb,
        "gpus": list(gpus),
    }


def machine_line(devices: Sequence[str]) -> str:
    """The line of a log: this machine, with the GPUs that the job was granted."""
    return MARK + json.dumps(describe_machine(name_devices(devices, list_gpus() if devices else {})))


def read_machines(log: Path) -> list[dict[str, Any]]:
    """The machines that a job ran on, by its log: one for each node; none where the log says nothing of it."""

    def found() -> Iterator[dict[str, Any]]:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            _, mark, text = line.partition(MARK)  # srun may put the task's number before it
            if mark:
                try:
                    yield json.loads(text)
                except ValueError:
                    continue  # the words of somebody else

    return [machine for machine in found() if "gpus" in machine] if log.is_file() else []


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    stated = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return stated[1].strip() if stated else platform.processor() or platform.machine()
