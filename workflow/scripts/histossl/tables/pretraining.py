"""How each encoder's training went: its row in the table of pretraining."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from histossl.errors import UserError
from histossl.ssl.collapse import HEALTHY

CAPTION = (
    "loss: of the last batch; those of different methods or settings do not compare. feature_std and rankme: of the "
    "encoder's features on training patches that stay the same, and before training (start). feature_std is near 1 "
    "where features point everywhere and 0 where they are all alike; rankme is how many dimensions they fill. "
    "teacher_entropy: as a share of ln K, the entropy of a uniform output. knn: balanced accuracy of the nearest "
    "neighbours on the labelled patches that health.knn names. waiting_share: of the time, with no batch there yet. "
    "damaged_patches: how often a damaged patch was replaced by its neighbour. verdict: healthy, or the last collapse."
)


def summarise_training(name: str, card: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row.

    Args:
        name: the encoder's.
        card: `encoder.json`.
        curve: the lines of `training.jsonl`; the first is of step 0.
    """
    start, end = curve[0], curve[-1]
    examined = [line for line in curve if "verdict" in line]
    last_examined = examined[-1]
    collapses = [line for line in examined if line["verdict"] != HEALTHY]
    verdict = f"{collapses[-1]['verdict']} (step {collapses[-1]['step']})" if collapses else HEALTHY
    timed = [line for line in curve if "images_per_s" in line]
    batch = card["training"]["batch"]
    steps = [line["step"] - before["step"] for before, line in pairwise(curve)]
    seconds = [count * batch / line["images_per_s"] for count, line in zip(steps, timed, strict=True)]
    waited = sum(each * line["waiting_share"] for each, line in zip(seconds, timed, strict=True))
    return {
        "encoder": name,
        "method": card["method"],
        "model": card["model"],
        "slides": len(card["slides"]),
        "patches": start["patches"],
        "batch": batch,
        "steps": end["step"],
        "loss": end["loss"],
        "feature_std": last_examined["eval_feature_std"],
        "feature_std_start": start["eval_feature_std"],
        "rankme": last_examined["rankme"],
        "rankme_start": start["rankme"],
        "teacher_entropy": end.get("teacher_entropy_share"),
        "knn": last_examined.get("knn_balanced_accuracy"),
        "knn_start": start.get("knn_balanced_accuracy"),
        "images_per_s": end["step"] * batch / sum(seconds),
        "waiting_share": waited / sum(seconds),
        "damaged_patches": end["damaged_patches"],
        "hours": end["hours"],
        "verdict": verdict,
    }


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a training curve.

    Raises:
        UserError: it is damaged, or was written before training was examined.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable training curve ({error}); delete it and rerun") from error
    if not lines or lines[0].get("step") != 0 or "verdict" not in lines[-1]:
        raise UserError(f"{path}: not a whole training curve; delete it and rerun")
    return lines
