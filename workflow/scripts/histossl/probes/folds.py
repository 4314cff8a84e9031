"""Folds of patches that keep groups together."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from histossl.errors import UserError


def deal_folds(
    labels: NDArray[np.str_] | None, groups: NDArray[np.str_], folds: int, seed: int, source: str
) -> NDArray[np.int64]:
    """Deal patches into folds, all patches of a group into the same.

    Args:
        labels: (N,) class of each patch, by which folds are stratified as far as groups allow; None for none.
        groups: (N,) patient or source tile; a patch without one is a group of its own.
        folds: how many, at least two.
        seed: same seed and patches, same folds.
        source: where the patches are from, for messages.

    Returns:
        (N,) fold of each patch, from 0.

    Raises:
        UserError: there are fewer groups than folds, or stratification leaves a fold empty.
    """
    named = number_groups(groups)
    count = int(named.max()) + 1
    if count < folds:
        raise UserError(
            f"{source}: {count} group{'s' * (count != 1)} of patches cannot make {folds} folds, for a group stays "
            f"together; set fewer `folds`"
        )
    if labels is None:
        split = GroupKFold(folds, shuffle=True, random_state=seed).split(named, groups=named)
    else:
        if np.unique(labels, return_counts=True)[1].max() < folds:
            raise UserError(f"{source}: no class has {folds} patches, one for each fold; set fewer `folds`")
        split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(named, labels, named)
    fold = np.empty(len(groups), np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # it is not in every fold; callers mind it
        for number, (_, tested) in enumerate(split):
            if not len(tested):
                raise UserError(f"{source}: its groups, stratified by class, leave a fold empty; set fewer `folds`")
            fold[tested] = number
    return fold


def inner_folds(
    labels: NDArray[np.str_] | None, groups: NDArray[np.str_], folds: int, seed: int, source: str
) -> NDArray[np.int64]:
    """Folds inside training, on which a penalty is chosen: as `deal_folds`, but fewer where groups or patches are few.

    Raises:
        UserError: all patches are of one group; or see `deal_folds`.
    """
    count = int(number_groups(groups).max()) + 1
    if count < 2:
        raise UserError(f"{source}: no penalty can be chosen on patches that are all of one group; give a single value")
    largest = count if labels is None else int(np.unique(labels, return_counts=True)[1].max())
    if largest < 2:
        raise UserError(f"{source}: no penalty can be chosen on one patch a class; give a single value")
    return deal_folds(labels, groups, min(folds, count, largest), seed, source)


def number_groups(groups: NDArray[np.str_]) -> NDArray[np.int64]:
    """A number from 0 for each group, (N,); a patch without one has its own."""
    return np.unique([group or f"\0{index}" for index, group in enumerate(groups.tolist())], return_inverse=True)[1]
