"""Presets: well-known encoders and patch data sets, by the name that a config gives."""

import copy
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from histossl.errors import UserError

Presets = Mapping[str, Mapping[str, Any]]


def read_presets(file: Path) -> dict[str, dict[str, Any]]:
    """The presets of a file of `config/presets`, by name: `config` is what a config may leave out, `about` the rest."""
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


def fill_presets(config: dict[str, Any], encoders: Presets, patch_datasets: Presets) -> None:
    """Fill in, in place, what presets that `config` names say; what the config says itself goes before it.

    A key that is null counts as left out, and dictionaries are filled in key by key.

    Raises:
        UserError: there is no such preset (with the nearest name).
    """
    for name, encoder in config.get("encoders", {}).items():
        if "timm" in encoder:
            _fill(encoder["timm"], encoders, f"encoders.{name}.timm")
    for name, dataset in (config.get("patch_datasets") or {}).items():
        _fill(dataset, patch_datasets, f"patch_datasets.{name}")


def _fill(given: dict[str, Any], presets: Presets, where: str) -> None:
    name = given.get("preset")
    if name is None:
        return
    if name not in presets:
        near = difflib.get_close_matches(name.lower(), presets, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(presets)}"
        raise UserError(f"config: {where}.preset is {name!r}, which is not known; {remedy}")
    for key, value in presets[name]["config"].items():
        own = given.get(key)
        if own is None or (key == "weights" and own is True):  # "its weights" are not those of timm
            given[key] = copy.deepcopy(value)
        elif isinstance(own, dict):  # arguments of the network beside the preset's
            given[key] = {**copy.deepcopy(value), **own}
