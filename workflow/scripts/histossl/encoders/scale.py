"""Whether patches have a scale that an encoder was trained at."""

from collections.abc import Collection

SPACING_TOLERANCE = 0.05
"""Relative difference of µm/px."""


def fits_scale(spacing_um: float, trained_um: Collection[float]) -> bool:
    """Whether patches of `spacing_um` suit an encoder made for any of `trained_um`, µm/px; none fits all."""
    return not trained_um or any(abs(spacing_um - own) <= SPACING_TOLERANCE * own for own in trained_um)


def name_scales(trained_um: Collection[float]) -> str:
    """`0.25 or 0.5` for a sentence."""
    return " or ".join(f"{own:g}" for own in trained_um)
