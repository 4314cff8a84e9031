"""What the files of a slide were made from, so that a job over many slides makes only those that changed."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from histossl.files import write_text_whole

Made = dict[str, Any]
STAGES = ("slides", "tiles/*", "shards/*", "features/*/slides/*")
"""Folders of results with files of single slides; `batches/` in them holds the manifests that list these."""


def describe_made(code: str, settings: str, own: Mapping[str, Any], inputs: Iterable[Path]) -> Made:
    """All that decides what the files of a slide hold.

    Args:
        code: fingerprint of the code that makes them.
        settings: those of the stage, as text.
        own: arguments of this slide alone.
        inputs: the files that are read. They count by size and time of change, because reading all of a slide would
            cost as much as working on it.
    """
    states = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in inputs}
    return {"code": code, "settings": settings, "own": dict(own), "inputs": states}


def is_valid(record: Path, wanted: Made, outputs: Sequence[Path]) -> bool:
    """Whether a slide's files are there and were made from what is wanted now."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or cut off by a full disk: the files are made anew
        return False
    return known == wanted and all(path.is_file() for path in outputs)


def write_made(record: Path, made: Made) -> None:
    """Keep what a slide's files were made from, once they are all there."""
    write_text_whole(record, json.dumps(made, indent=1, ensure_ascii=False) + "\n")


def forget_untrue(results: Path) -> None:
    """Delete the manifests that are no longer true, so that Snakemake has them made again when they are needed.

    They list a file that is there no more, or one that was made anew since from something else: by the job of another
    part of the cohort, which slides may have been dealt to in between.

    Args:
        results: the folder of all results.
    """
    for stage in STAGES:
        for manifest in results.glob(f"{stage}/batches/*.json"):
            if not _is_true(manifest):
                with contextlib.suppress(OSError):  # another run was quicker, or the folder is somebody else's
                    manifest.unlink()


def _is_true(manifest: Path) -> bool:
    folder = manifest.parents[1]
    try:
        lines = json.loads(manifest.read_text(encoding="utf-8"))
        records = [(folder / line["record"], line["made"]) for line in lines if "made" in line]
        files = [folder / name for line in lines for name in line["files"]]
    except (OSError, ValueError, KeyError, TypeError):  # it says nothing; that it is there tells that the job has ended
        return True
    return all(is_valid(record, made, []) for record, made in records) and all(file.is_file() for file in files)
