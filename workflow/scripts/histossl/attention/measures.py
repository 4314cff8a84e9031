"""What is measured on an attention map."""

import numpy as np


def keep_mass(maps: np.ndarray, mass: float) -> np.ndarray:
    """The fewest tokens that hold a share `mass` of the attention to the patch tokens, as in DINO's visualisation.

    Args:
        maps: (..., side, side), not negative.
        mass: 0 to 1.

    Returns:
        The same shape, bool. Of tokens that are attended to alike, the first count as the larger.
    """
    rows = maps.reshape(-1, maps.shape[-1] * maps.shape[-2]).astype(np.float64)
    order = np.argsort(-rows, axis=1, kind="stable")
    sums = np.take_along_axis(rows, order, axis=1).cumsum(axis=1)
    before = np.concatenate([np.zeros((len(rows), 1)), sums[:, :-1]], axis=1)
    kept = np.zeros(rows.shape, bool)
    np.put_along_axis(kept, order, before < mass * sums[:, -1:], axis=1)
    return kept.reshape(maps.shape)


def concentration(maps: np.ndarray) -> np.ndarray:
    """How far maps are from even: 1 - H / log(n), with H the entropy over the n patch tokens.

    Args:
        maps: (..., side, side), not negative.

    Returns:
        (...): 0 where all tokens are attended to alike, 1 where one has all the attention.
    """
    rows = maps.reshape(*maps.shape[:-2], -1).astype(np.float64)
    total = rows.sum(axis=-1, keepdims=True)
    shares = np.divide(rows, total, out=np.full_like(rows, 1 / rows.shape[-1]), where=total > 0)
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return 1 + (shares * logarithms).sum(axis=-1) / np.log(rows.shape[-1])
