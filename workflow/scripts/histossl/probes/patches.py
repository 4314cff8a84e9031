"""Labelled patch features: which patches train a probe and which test it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from histossl.errors import UserError
from histossl.hdf5 import DAMAGED, read_array
from histossl.probes.folds import deal_folds


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
        UserError: the file is missing or damaged, the split has no patches, or a feature is not a finite number.
    """
    source = f"{path}, split '{split}'" if split else str(path)
    try:
        with h5py.File(path) as file:
            texts = {name: read_array(file, name) for name in ("path", "label", "group")}
            splits = read_array(file, "split")
            origin = str(file.attrs.get("source", path))
            patches = Patches(source, origin, read_array(file, "features"), target=read_array(file, "target"), **texts)
    except DAMAGED as error:
        raise UserError(f"{path}: not a readable feature file of patches ({error}); delete it and rerun") from error
    unusable = np.flatnonzero(~np.isfinite(patches.features).all(axis=1))
    if len(unusable):
        raise UserError(
            f"{path}: features of {len(unusable)} patches are not finite numbers, of '{patches.path[unusable[0]]}' "
            f"first; embed them again, with `features: {{precision: fp32}}` if it was fp16"
        )
    if split:
        patches = patches.where(splits == split)
    if not len(patches.path):
        known = ", ".join(sorted(set(splits.tolist()) - {""})) or "none"
        raise UserError(
            f"{path}: no patches in split '{split}' (splits: {known}); correct the sheet or the split's name"
        )
    return patches


def check_separate(train: Patches, test: Patches) -> None:
    """Raise `UserError` if a group, or a patch of the same data set, is in training and in test, or encoders differ.

    Two entries of the config may be of one data set, one of them with its stain normalised.
    """
    width, other = train.features.shape[1], test.features.shape[1]
    if width != other:
        raise UserError(
            f"{train.source} has {width} features a patch and {test.source} {other}; embed both with the same encoder"
        )
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

    Raises:
        UserError: no patch is left.
    """
    label = np.array([merge.get(name, name) for name in patches.label.tolist()], dtype=str)
    keep = (label != "") & ~np.isin(label, list(exclude))
    if not keep.any():
        raise UserError(
            f"{patches.source}: no patch has a label that is not excluded; fill the column 'label' of its sheet, or "
            f"choose a probe of targets (linear, ridge)"
        )
    return replace(patches, label=label).where(keep), int((~keep).sum())


def with_target(patches: Patches) -> tuple[Patches, int]:
    """Drop patches whose target is not a finite number; also return how many.

    Raises:
        UserError: no patch is left.
    """
    keep = np.isfinite(patches.target)
    if not keep.any():
        raise UserError(f"{patches.source}: no patch has a target; fill the column 'target' of its sheet")
    return patches.where(keep), int((~keep).sum())


def check_classes(train: Patches, test: Patches) -> list[str]:
    """The classes of the training patches in alphabetical order.

    Raises:
        UserError: there are fewer than two, or a test patch is of another.
    """
    classes = sorted(set(train.label.tolist()))
    if len(classes) < 2:
        raise UserError(
            f"{train.source}: the training patches have {len(classes)} class{'es' * (not classes)} "
            f"({', '.join(classes) or 'no labels'}); two are needed"
        )
    unknown = sorted(set(test.label.tolist()) - set(classes))
    if unknown:
        raise UserError(
            f"{test.source}: label '{unknown[0]}' is not among the training labels of {train.source} "
            f"({', '.join(classes)}); merge or exclude it"
        )
    return classes


def class_indices(patches: Patches, classes: Collection[str]) -> NDArray[np.int64]:
    """Which of the sorted `classes` each patch is of, (N,)."""
    return np.searchsorted(np.array(list(classes), dtype=str), patches.label)


def cross_validation(
    patches: Patches, folds: int, seed: int, stratified: bool
) -> Iterator[tuple[int, Patches, Patches]]:
    """Number, training and test patches of each of `folds` folds, groups kept together.

    Args:
        patches: what is split; each patch is tested once.
        folds: how many.
        seed: same seed and patches, same folds.
        stratified: by class, for patches with labels.

    Raises:
        UserError: fewer groups than folds, or a class that is in the training patches of not every fold.
    """
    fold = deal_folds(patches.label if stratified else None, patches.group, folds, seed, patches.source)
    for number in range(folds):
        train, test = patches.where(fold != number), patches.where(fold == number)
        missing = sorted(set(test.label.tolist()) - set(train.label.tolist())) if stratified else []
        if missing:
            raise UserError(
                f"{patches.source}: all patches of class '{missing[0]}' are of one group or fold, so that none is left "
                f"to train on; exclude or merge the class, or set other `folds`"
            )
        yield number, train, test
