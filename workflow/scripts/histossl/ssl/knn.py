"""How well the nearest neighbours of labelled patches tell their labels: features judged without training a probe."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from histossl.errors import UserError
from histossl.features.geometry import Geometry
from histossl.patch_datasets.listing import pick_labelled, read_patch_dataset
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.pictures import read_patch
from histossl.stain.normaliser import Normaliser

NEIGHBOURS = 5
"""As the patch probes of the tables."""


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures in memory with what is known of them."""

    pictures: torch.Tensor
    """(N, 3, px, px) uint8."""
    labels: np.ndarray
    """(N,) class indices."""
    groups: np.ndarray
    """(N,) group indices; a patch without a group is one of its own."""


def read_labelled_pictures(
    source: Path, split: str, limit: int, seed: int, px: int, layout: str = "", stain: Normaliser | None = None
) -> LabelledPictures:
    """Read at most `limit` labelled pictures of a patch data set, drawn by the seed, at `px`, normalised by `stain`.

    Raises:
        UserError: see `histossl.patch_datasets.listing.pick_labelled`; or a picture can't be read, or all that were
            drawn are of one group.
    """
    patches = pick_labelled(read_patch_dataset(source, layout), source, split)
    chosen = sorted(np.random.default_rng(seed).permutation(len(patches))[:limit].tolist())
    patches = [patches[index] for index in chosen]
    groups = np.unique([patch.group or f"\0{index}" for index, patch in enumerate(patches)], return_inverse=True)[1]
    if len(set(groups.tolist())) < 2:
        raise UserError(
            f"{source}: its labelled patches are all of one group, so that none has a neighbour; add groups"
        )
    geometry = Geometry(px, px)

    def read(patch: LabelledPatch) -> np.ndarray:
        picture = read_patch(patch)
        return geometry.apply(stain(picture[None])[0] if stain else picture)

    pictures = np.stack([read(patch) for patch in patches])
    labels = np.unique([patch.label for patch in patches], return_inverse=True)[1]
    return LabelledPictures(torch.from_numpy(pictures).permute(0, 3, 1, 2), labels, groups)


def knn_accuracy(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, neighbours: int = NEIGHBOURS
) -> dict[str, float]:
    """Accuracy when each patch gets the commonest label of its nearest neighbours in other groups.

    Leave-one-out, or rather leave-one-group-out: patches of one patient resemble each other in more than their label.
    Neighbours are nearest by cosine; of equally common labels the one whose neighbours are nearer in sum wins.

    Args:
        features: (N, D).
        labels: (N,) class indices from 0.
        groups: (N,) group indices.
        neighbours: how many vote; fewer where other groups have fewer.

    Returns:
        `knn_accuracy` and `knn_balanced_accuracy`, the mean over the classes of the share of each that is right.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    likeness = unit @ unit.T
    likeness[groups[:, None] == groups] = -np.inf
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :neighbours]
    found = np.take_along_axis(likeness, nearest, axis=1)
    counted = np.isfinite(found)
    votes = np.zeros((len(labels), labels.max() + 1))
    # A cosine is at most 1: a share of it below one vote breaks ties and nothing else.
    weight = np.where(counted, 1 + np.where(counted, found, 0) / (4 * neighbours), 0)
    np.add.at(votes, (np.arange(len(labels))[:, None], labels[nearest]), weight)
    right = votes.argmax(axis=1) == labels
    by_class = [right[labels == index].mean() for index in np.unique(labels)]
    return {"knn_accuracy": float(right.mean()), "knn_balanced_accuracy": float(np.mean(by_class))}
