"""The physical size of a level-0 pixel, and where it is known from."""

from collections.abc import Mapping
from dataclasses import dataclass

PLAUSIBLE_UM = (0.05, 10.0)
"""A scanner's pixel lies between these, µm; what lies outside is a wrong entry."""
MAX_ANISOTROPY = 0.05
"""Relative difference between x and y above which the two are taken for a wrong entry."""
MAX_DISAGREEMENT = 0.10
"""Relative difference above which the sheet's value and the file's are noted to disagree."""
UM_PER_UNIT = {"centimeter": 10_000.0, "inch": 25_400.0}
GENERIC_VENDOR = "generic-tiff"
"""OpenSlide computes the µm/px of this one from the resolution tags: no vendor states it."""


@dataclass(frozen=True)
class Spacing:
    """µm per level-0 pixel (None where nothing states it), the step of the ladder that gave it, and refused values."""

    um: float | None
    source: str
    refused: tuple[str, ...] = ()


def resolve_spacing(sheet_um: float | None, properties: Mapping[str, str], assumed_um: float | None) -> Spacing:
    """Go down the ladder until a plausible value is met.

    The steps: the sheet's column (`sheet`), what the vendor's format states (`vendor`), the TIFF resolution tags
    (`tiff_resolution`), the resolution stated by a PNG, JPEG or BMP (`image_resolution`), ten divided by the objective
    power (`objective_power`), the configured assumption (`assumed`).

    A value of the sheet is a person's word and is used even where the file plausibly states another; if the two are
    more than a tenth apart, that is noted among the refused values.

    Args:
        sheet_um: value of the sheet, None where blank.
        properties: OpenSlide's properties of the slide.
        assumed_um: the configuration's last resort; None means that a slide without µm/px is refused.
    """
    if sheet_um is not None:
        stated = _climb_down(properties)
        refused = stated.refused
        if stated.um is not None and abs(stated.um - sheet_um) > MAX_DISAGREEMENT * max(stated.um, sheet_um):
            refused += (f"{stated.source} gives {stated.um:g} µm/px but the sheet {sheet_um:g}, which is used",)
        return Spacing(sheet_um, "sheet", refused)
    stated = _climb_down(properties)
    if stated.um is None and assumed_um is not None:
        return Spacing(assumed_um, "assumed", stated.refused)
    return stated


def _climb_down(properties: Mapping[str, str]) -> Spacing:
    """What the file states."""
    refused: list[str] = []
    vendor = (properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"))
    if properties.get("openslide.vendor") == GENERIC_VENDOR:
        vendor = (None, None)
    steps = (
        ("vendor", *vendor),
        ("tiff_resolution", *_from_resolution(properties, "tiff")),
        ("image_resolution", *_from_resolution(properties, "image")),
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
    return Spacing(None, "none", tuple(refused))


def _from_resolution(properties: Mapping[str, str], kind: str) -> tuple[str | None, str | None]:
    """µm/px as text from pixels per unit; None where they are absent or have no physical unit."""
    unit_um = UM_PER_UNIT.get(properties.get(f"{kind}.ResolutionUnit", ""))
    resolutions = [_number(properties.get(f"{kind}.{axis}Resolution", "")) for axis in ("X", "Y")]
    if unit_um is None or not all(resolutions):
        return None, None
    x, y = (f"{unit_um / resolution:.6g}" for resolution in resolutions if resolution)
    return x, y


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
