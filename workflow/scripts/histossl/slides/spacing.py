"""The physical size of a level-0 pixel, and where it is known from."""

from collections.abc import Mapping
from dataclasses import dataclass

PLAUSIBLE_UM = (0.05, 10.0)
"""A scanner's pixel lies between these, µm; what lies outside is a wrong entry."""
MAX_ANISOTROPY = 0.05
"""Relative difference between x and y above which the two are taken for a wrong entry."""
UM_PER_UNIT = {"centimeter": 10_000.0, "inch": 25_400.0}


@dataclass(frozen=True)
class Spacing:
    """µm per level-0 pixel (None where nothing states it), the step of the ladder that gave it, and refused values."""

    um: float | None
    source: str
    refused: tuple[str, ...] = ()


def resolve_spacing(sheet_um: float | None, properties: Mapping[str, str], assumed_um: float | None) -> Spacing:
    """Go down the ladder until a plausible value is met.

    The steps: the sheet's column (`sheet`), what the vendor's format states (`vendor`), the TIFF resolution tags
    (`tiff_resolution`), ten divided by the objective power (`objective_power`), the configured assumption (`assumed`).

    Args:
        sheet_um: value of the sheet, None where blank.
        properties: OpenSlide's properties of the slide.
        assumed_um: the configuration's last resort; None means that a slide without µm/px is refused.
    """
    refused: list[str] = []
    if sheet_um is not None:
        return Spacing(sheet_um, "sheet")
    steps = (
        ("vendor", properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y")),
        ("tiff_resolution", *_from_resolution_tags(properties)),
        ("objective_power", properties.get("openslide.objective-power"), None),
    )
    for source, x_text, y_text in steps:
        if x_text is None:
            continue
        x = _number(x_text)
        y = _number(y_text) if y_text is not None else x
        if source == "objective_power":
            x = y = 10.0 / x if x else None
        if x is None or y is None:
            refused.append(f"{source} is not a number ({x_text})")
        elif not all(PLAUSIBLE_UM[0] <= um <= PLAUSIBLE_UM[1] for um in (x, y)):
            refused.append(f"{source} gives {x:g} x {y:g} µm/px, outside {PLAUSIBLE_UM[0]} to {PLAUSIBLE_UM[1]}")
        elif abs(x - y) > MAX_ANISOTROPY * max(x, y):
            refused.append(f"{source} gives unequal sides, {x:g} x {y:g} µm/px")
        else:
            return Spacing((x + y) / 2, source, tuple(refused))
    if assumed_um is not None:
        return Spacing(assumed_um, "assumed", tuple(refused))
    return Spacing(None, "none", tuple(refused))


def _from_resolution_tags(properties: Mapping[str, str]) -> tuple[str | None, str | None]:
    """µm/px as text from the TIFF resolution tags; None where they are absent or have no physical unit."""
    unit_um = UM_PER_UNIT.get(properties.get("tiff.ResolutionUnit", ""))
    resolutions = [_number(properties.get(f"tiff.{axis}Resolution", "")) for axis in ("X", "Y")]
    if unit_um is None or not all(resolutions):
        return None, None
    x, y = (f"{unit_um / resolution:.6g}" for resolution in resolutions if resolution)
    return x, y


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
