"""What the tables say of the stain normalisation of their data."""

from collections.abc import Mapping
from typing import Any

from histossl.config import plan
from histossl.config.plan import Config

Stain = Mapping[str, str] | None


def table_stains(config: Config, kind: str) -> dict[str, Any]:
    """Which colours the rows of a kind of table are of.

    Returns:
        `rows`: by task and encoder, such as `macenko`, or `macenko -> none` where the training data differ from the
        data tested on, or `unknown` for features made elsewhere. `trained`: by encoder trained here, the normalisation
        of its training patches, where a task tests it on patches of another.
    """
    rows: dict[str, dict[str, str]] = {}
    trained: dict[str, str] = {}
    for task, (settings, encoders) in plan.table_tasks(config, kind).items():
        train, test = _data_stains(config, kind, settings)
        said = _name(config, test) if train == test else f"{_name(config, train)} -> {_name(config, test)}"
        rows[task] = {}
        for encoder in encoders:
            rows[task][encoder] = "unknown" if encoder in plan.imported_encoders(config) else said
            if encoder in plan.pretrained_encoders(config):
                own = config["tilings"][plan.pretrain_tiling(config, encoder)]["stain"]
                if own != test:
                    trained[encoder] = _name(config, own)
    return {"rows": rows, "trained": trained}


def _data_stains(config: Config, kind: str, task: Mapping[str, Any]) -> tuple[Stain, Stain]:
    """Of the data a task trains on, and of those it tests on."""
    if kind == "slide":
        stain = config["tilings"][task["tiling"]]["stain"]
        return stain, stain
    sides = plan.patch_sides(task)
    stains = {side: config["patch_datasets"][name.partition(":")[0]]["stain"] for side, name in sides.items()}
    return stains["train"], stains.get("test", stains["train"])


def _name(config: Config, stain: Stain) -> str:
    """The method, with its reference where the configuration has several for it."""
    if stain is None:
        return "none"
    stains = [entry["stain"] for kind in ("tilings", "patch_datasets") for entry in config[kind].values()]
    references = {other["reference"] for other in stains if other and other["method"] == stain["method"]}
    return stain["method"] if len(references) == 1 else f"{stain['method']} to {stain['reference']}"
