"""Slides that are missing somewhere, each with the first stage that missed it and why."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from histossl.cohort.run_end import Missing
from histossl.errors import UserError
from histossl.tiles.shards import read_shard_reason

COLUMNS = ("slide", "stage", "reason")


def missing_in_shards(shards: Iterable[Path]) -> Iterator[Missing]:
    """Slides whose patches could not be packed for training."""
    for path in shards:
        reason = read_shard_reason(path)
        if reason:
            yield path.stem, "pack_tiles", reason


def missing_in_features(manifests: Iterable[Path]) -> Iterator[Missing]:
    """Slides without features, from the manifests of `embed_slides` and `import_features`.

    Raises:
        UserError: a manifest is missing or damaged.
    """
    for path in manifests:
        try:
            for line in json.loads(path.read_text(encoding="utf-8")):
                if line["reason"]:
                    yield line["slide"], line.get("stage", "embed_slides"), line["reason"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a readable manifest ({error}); delete it and rerun") from error


def list_missing(stages: Iterable[Iterable[Missing]]) -> list[Missing]:
    """One line a slide, from the first stage that names it, in the order met."""
    found: dict[str, Missing] = {}
    for stage in stages:
        for missing in stage:
            found.setdefault(missing[0], missing)
    return list(found.values())
