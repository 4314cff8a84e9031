"""Labelled patch features: which patches train a probe and which test it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from histossl.errors import UserError


@dataclass(frozen=True)
class Patches:
    """Features of patches with what the data set's sheet says about them.

    Attributes:
        source: file and split they come from, for messages.
        origin: the data set, by where it lies; the feature file where that does not say.
        features: (N, D) float32.
        path: (N,) path of each patch, relative to its data set.
        label: (N,) class, empty where there is none.
        group: (N,) patient or source tile, empty where not known.
        target: (N,) float64, NaN where there is none.
    """

    source: str
    origin: str
    features: np.ndarray
    path: np.ndarray
    label: np.ndarray
    group: np.ndarray
    target: np.ndarray

    def where(self, keep: np.ndarray) -> "Patches":
        """The patches for which `keep` (N,) is true."""
        columns = ("features", "path", "label", "group", "target")
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})


def read_patches(path: Path, split: str = "") -> Patches:
    """Read a feature file, or one split of it.

    Raises:
        UserError: the split has no patches.
    """
    with h5py.File(path) as file:
        texts = {name: file[name].asstr()[:].astype(str) for name in ("path", "label", "group")}
        splits = file["split"].asstr()[:].astype(str)
        source = f"{path}, split '{split}'" if split else str(path)
        origin = str(file.attrs.get("source", path))
        patches = Patches(source, origin, file["features"][:], target=file["target"][:].astype(float), **texts)
    if split:
        patches = patches.where(splits == split)
    if not len(patches.path):
        known = ", ".join(sorted(set(splits.tolist()) - {""})) or "none"
        raise UserError(
            f"{path}: no patches in split '{split}' (splits: {known}); correct the sheet or the split's name"
        )
    return patches


def check_separate(train: Patches, test: Patches) -> None:
    """Raise `UserError` if a group, or a patch of the same data set, is in training and in test.

    Two entries of the config may be of one data set, one of them with its stain normalised.
    """
    shared = sorted((set(train.group) & set(test.group)) - {""})
    if shared:
        raise UserError(
            f"group '{shared[0]}' is in training ({train.source}) and in test ({test.source}), "
            f"{len(shared)} group{'s' if len(shared) > 1 else ''} in all; put all patches of a group on one side"
        )
    repeated = sorted(set(train.path) & set(test.path)) if train.origin == test.origin else []
    if repeated:
        raise UserError(
            f"patch '{repeated[0]}' is in training ({train.source}) and in test ({test.source}); "
            f"give each patch one split"
        )


def with_classes(patches: Patches, merge: Mapping[str, str], exclude: Collection[str]) -> tuple[Patches, int]:
    """Rename classes by `merge`, drop those in `exclude` and patches without a label; also return how many dropped.

    `exclude` names classes as they are called after merging.
    """
    label = np.array([merge.get(name, name) for name in patches.label.tolist()], dtype=str)
    keep = (label != "") & ~np.isin(label, list(exclude))
    return replace(patches, label=label).where(keep), int((~keep).sum())


def with_target(patches: Patches) -> tuple[Patches, int]:
    """Drop patches whose target is not a finite number; also return how many."""
    keep = np.isfinite(patches.target)
    if not keep.any():
        raise UserError(f"{patches.source}: no patch has a target; fill the column 'target' of its sheet")
    return patches.where(keep), int((~keep).sum())
