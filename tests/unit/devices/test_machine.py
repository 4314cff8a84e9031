import json
import os

from histossl.devices import machine
from histossl.devices.machine import MARK, UNKNOWN, list_gpus, machine_line, name_devices, read_machines

GPUS = {"GPU-a": "NVIDIA H100, 81559 MiB, driver 570", "GPU-b": "NVIDIA A100, 40960 MiB, driver 570"}


def test_devices_are_named_by_uuid_and_by_place():
    assert name_devices(["GPU-b", "0", "7", "MIG-x"], GPUS) == [GPUS["GPU-b"], GPUS["GPU-a"], UNKNOWN, UNKNOWN]


def test_without_a_driver_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_gpus() == {}


def test_gpus_are_read_from_the_driver(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho "GPU-a, NVIDIA H100, 81559 MiB, 570"; echo; echo words\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert list_gpus() == {"GPU-a": GPUS["GPU-a"]}


def test_a_log_says_on_what_its_job_ran(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "list_gpus", lambda: GPUS)
    log = tmp_path / "a.log"
    log.write_text(f"words\n{machine_line(['GPU-a'])}\n1: {machine_line([])}\n{MARK}not ours\n{MARK}{json.dumps({})}\n")
    first, second = read_machines(log)
    assert first["gpus"] == [GPUS["GPU-a"]] and second["gpus"] == []
    assert first["cores"] >= 1 and first["host"] and first["processor"] and first["memory_gb"] > 0
    assert read_machines(tmp_path / "none.log") == []
