"""Each run writes down what it ran with. Read at each start of the workflow: nothing heavy is imported here."""

import hashlib
import json
import platform
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from histossl.devices.machine import describe_machine, list_gpus
from histossl.files import write_text_whole


def record_run(folder: Path, config: Mapping[str, Any], repository: Path, executor: str) -> None:
    """Write a record of the run that begins; a file of its own, which no rule names: it is no result and reruns none.

    Args:
        folder: of the records.
        config: the configuration, all defaults filled in.
        repository: of the workflow.
        executor: how Snakemake runs jobs, such as `local` or `slurm`.
    """
    now = datetime.now(UTC)
    sheet = Path(config["slides"]["sheet"])
    record = {
        "started": now.strftime("%Y-%m-%d %H:%M:%S"),
        "timestamp": now.timestamp(),
        "command": shlex.join(sys.argv),
        "executor": executor,
        **describe_commit(repository),
        "machine": describe_machine(list(list_gpus().values())),
        "packages": {
            "operating system": platform.platform(),
            "Python": platform.python_version(),
            **package_versions(repository),
        },
        "sheet_sha256": hashlib.sha256(sheet.read_bytes()).hexdigest() if sheet.is_file() else "",
        "config": config,
    }
    file = folder / f"{now.strftime('%Y%m%dT%H%M%S.%fZ')}.json"
    write_text_whole(file, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def describe_commit(repository: Path) -> dict[str, Any]:
    """The commit of the workflow, and how many tracked files differ from it; both None without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    try:
        # A folder copied into the repository of something else is no checkout of ours.
        if Path(git("rev-parse", "--show-toplevel").strip()).resolve() != repository.resolve():
            return {"commit": None, "changed_files": None}
        changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
        return {"commit": git("rev-parse", "HEAD").strip(), "changed_files": len(changed)}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "changed_files": None}


def package_versions(repository: Path) -> dict[str, str]:
    """By name, the installed versions of the packages that results depend on: those that pyproject.toml names."""
    if not (repository / "pyproject.toml").is_file():  # the sources alone were copied
        return {}
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = {project["name"]: project["version"]}
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed where Snakemake ran"
    return versions
