"""How far the scale of patches may lie from the one an encoder was trained at."""

SPACING_TOLERANCE = 0.05
"""Relative difference of µm/px."""
