"""How well each head picks each component of drawn tissue, at the resolution of tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from histossl.attention.maps_file import AttentionMaps
from histossl.attention.measures import concentration

DARK, BRIGHT, CHANCE, NO_MAPS = "dark", "bright", "chance", "no attention"
CAPTION = (
    "Average precision with which the attention of each head picks a component of the drawn tissue, among the patch "
    "tokens of all patches; a token is of a component that covers at least half of it, and each patch's attention is "
    "divided by its sum. dark and bright: tokens are ranked by their mean grey value instead, as a head of a network "
    "with random weights may do. chance: the share of tokens that are of the component, which is what a head without a "
    "preference has; one below it turns away from the component. Empty where no token is of it. concentration: how far "
    "a head's maps are from even, 0 to 1, on average."
)


def cover_tokens(shares: np.ndarray, side: int, field: float = 1.0) -> np.ndarray:
    """The share of each token's area that is of a component, averaged over areas exactly.

    Args:
        shares: (N, px, px), of each pixel, 0 to 1.
        side: tokens along a side.
        field: side of what the network is given, cut from the patch's middle, as a share of the patch's.

    Returns:
        (N, side, side), 0 to 1.
    """
    px = shares.shape[-1]
    edges = px * (0.5 + field * (np.arange(side + 1) / side - 0.5))
    pixels = np.arange(px)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = overlap.clip(min=0) / np.diff(edges)[:, None]
    return weights @ shares.astype(np.float64) @ weights.T


def score_heads(maps: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Average precision (scikit-learn's) of each head over all tokens.

    Args:
        maps: (N, heads, side, side), not negative.
        labels: (N, side, side) bool.

    Returns:
        One for each head; None where no token is positive.
    """
    if not labels.any():
        return [None] * maps.shape[1]
    total = maps.sum(axis=(2, 3), keepdims=True, dtype=np.float64)
    shares = maps / np.maximum(total, np.finfo(np.float32).tiny)
    return [float(average_precision_score(labels.ravel(), shares[:, head].ravel())) for head in range(maps.shape[1])]


def summarise_heads(
    found: AttentionMaps, names: Sequence[str], components: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """The rows of an encoder: one for each head and for what heads compare with, a column for each component.

    Args:
        found: its maps on drawn patches.
        names: of the patches whose components are known, as in `found.names`.
        components: by name, (N, px, px), the share of each pixel that is of it, 0 to 1.
    """
    if found.reason:
        return [
            {"encoder": found.encoder, "head": NO_MAPS, "tokens": "", **dict.fromkeys([*components, "concentration"])}
        ]
    place = {name: index for index, name in enumerate(names)}
    chosen = [place[name] for name in found.names]
    heads, side = found.maps.shape[1], found.maps.shape[-1]
    grey = cover_tokens(found.pictures.mean(axis=-1), side)[:, None]
    ranked = np.concatenate([found.maps, 255 - grey, grey], axis=1)
    columns = {}
    for name, shares in components.items():
        labels = cover_tokens(shares[chosen], side, found.field) >= 0.5
        columns[name] = [*score_heads(ranked, labels), float(labels.mean())]
    focus = concentration(found.maps).mean(axis=0).tolist()
    said = [*map(str, range(1, heads + 1)), DARK, BRIGHT, CHANCE]
    return [
        {"encoder": found.encoder, "head": head, "tokens": f"{side} x {side}"}
        | {name: values[row] for name, values in columns.items()}
        | {"concentration": focus[row] if row < heads else None}
        for row, head in enumerate(said)
    ]
