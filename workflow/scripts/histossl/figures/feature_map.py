"""A map of patch features in two dimensions (UMAP), and how well the features tell classes and splits apart."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score
from umap import UMAP

from histossl.hdf5 import read_array
from histossl.probes.neighbours import nearest
from histossl.probes.patches import read_patches

Texts, Singles = NDArray[np.str_], NDArray[np.float32]


@dataclass(frozen=True)
class MapSettings:
    """How a map is made.

    Attributes:
        patches: at most so many are mapped.
        neighbours: of UMAP, and whose classes the purity looks at.
        min_distance: between points of the map.
        seed: of the sample and of UMAP.
    """

    patches: int
    neighbours: int
    min_distance: float
    seed: int


def map_features(path: Path, settings: MapSettings) -> tuple[list[tuple[str, ...]], dict[str, Any]]:
    """Map a sample of the labelled patches of a data set.

    Args:
        path: the feature file of an encoder on a patch data set.
        settings: how.

    Returns:
        For each patch mapped its path, class, split, x and y; and what is to be said of the map: numbers of patches and
        the settings, `by` label and split the figures of `describe`. With too little to map no patch, and a `reason`.

    Raises:
        UserError: the file is damaged, or a feature is not a finite number.
    """
    patches = read_patches(path)
    with h5py.File(path) as file:
        split = read_array(file, "split")
    labelled = patches.label != ""
    patches, split = patches.where(labelled), split[labelled]
    classes = sorted(set(patches.label.tolist()))
    if len(classes) < 2:
        named = f"one class, '{classes[0]}'" if classes else "no classes"
        return [], {"reason": f"No map: the patches have {named}; two are needed."}
    if len(patches.label) <= settings.neighbours:
        found = f"{len(patches.label)} labelled patches for {settings.neighbours} neighbours"
        return [], {"reason": f"No map: there are {found}; one more than neighbours is needed."}
    strata = np.char.add(np.char.add(patches.label.astype(str), "\n"), split.astype(str))
    chosen = sample_strata(strata, settings.patches, settings.seed)
    features, label, split = patches.features[chosen], patches.label[chosen].astype(str), split[chosen].astype(str)
    points = embed_plane(features, settings)
    said = {
        "reason": "",
        "patches": len(chosen),
        "patches_labelled": int(labelled.sum()),
        **{name: getattr(settings, name) for name in ("neighbours", "min_distance", "seed")},
        "by": {name: describe(features, of, settings.neighbours) for name, of in (("label", label), ("split", split))},
    }
    columns = zip(patches.path[chosen], label, split, points, strict=True)
    return [(str(p), str(c), str(s), f"{x:.6g}", f"{y:.6g}") for p, c, s, (x, y) in columns], said


def sample_strata(strata: Texts, count: int, seed: int) -> NDArray[np.int64]:
    """Indices in order of at most `count` of (N,) rows, each stratum in proportion, drawn by the seed."""
    order = np.random.default_rng(seed).permutation(len(strata))
    place = np.empty(len(strata))
    for name in np.unique(strata):
        own = order[strata[order] == name]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    # Equal places of different strata stay in the order of the draw.
    return np.sort(order[np.argsort(place[order], kind="stable")][:count])


def embed_plane(features: Singles, settings: MapSettings) -> Singles:
    """UMAP (McInnes et al. 2018, arXiv 1802.03426) of features (N, D) as (N, 2), by Euclidean distances.

    With 15 neighbours and a least distance of 0.1 as in figure 4 of Chen and Krishnan 2022 (arXiv 2203.00585).
    """
    # One job, or the seed would not fix the result.
    umap = UMAP(settings.neighbours, min_dist=settings.min_distance, random_state=settings.seed, n_jobs=1)
    return umap.fit_transform(features)


def describe(features: Singles, groups: Texts, k: int) -> dict[str, float | None]:
    """How well features (N, D), not their map, tell groups (N,) apart.

    Returns:
        `silhouette`, the mean silhouette (Rousseeuw 1987) by Euclidean distances; `purity`, see `neighbour_purity`;
        and `chance`, the purity of neighbours drawn at random. All None for a single group.
    """
    _, counts = np.unique(groups, return_counts=True)
    if not 2 <= len(counts) < len(groups):
        return {"silhouette": None, "purity": None, "chance": None}
    chance = float((counts * (counts - 1.0)).sum() / (len(groups) * (len(groups) - 1.0)))
    silhouette = float(silhouette_score(features, groups))
    return {"silhouette": silhouette, "purity": neighbour_purity(features, groups, k), "chance": chance}


def neighbour_purity(features: Singles, groups: Texts, k: int) -> float:
    """Mean share of the k nearest other rows of (N, D) that are of the row's own group (N,), by Euclidean distances."""
    rows = np.arange(len(groups))[:, None]
    index, _ = nearest(features, features, k + 1, "euclidean")
    others = index != rows
    others[others.all(axis=1), -1] = False  # among more than k equal rows a row may not find itself
    return float((groups[index[others].reshape(-1, k)] == groups[rows]).mean())
