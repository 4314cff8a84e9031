"""What is known of a slide before any pixel is looked at: `metadata.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from histossl.errors import UserError
from histossl.files import write_text_whole
from histossl.slides.reader import Slide
from histossl.slides.spacing import resolve_spacing

BOUNDS_X, BOUNDS_Y = "openslide.bounds-x", "openslide.bounds-y"


@dataclass(frozen=True)
class SlideMetadata:
    """Size and scale of a slide; `status` is `ok`, or `excluded` with a `reason` and zeros."""

    slide: str
    status: str
    reason: str = ""
    width_px: int = 0
    height_px: int = 0
    level_downsamples: tuple[float, ...] = ()
    spacing_um: float = 0.0
    """µm per level-0 pixel."""
    spacing_source: str = ""
    """The step of the ladder that gave it, see `histossl.slides.spacing`."""
    spacing_refused: tuple[str, ...] = ()
    objective_power: str = ""
    vendor: str = ""
    offset_px: tuple[int, int] = (0, 0)
    """Level-0 x, y of the scanned part, where the format states its bounds; QuPath counts from there."""


def describe_slide(opened: Slide, slide: str, sheet_um: float | None, assumed_um: float | None) -> SlideMetadata:
    """Size and µm/px of an open slide; one without a usable µm/px is excluded.

    Raises:
        UserError: its last pixel cannot be read.
    """
    spacing = resolve_spacing(sheet_um, opened.properties, assumed_um)
    if spacing.um is None:
        refused = f" ({'; '.join(spacing.refused)})" if spacing.refused else ""
        reason = (
            f"{opened.path}: states no usable µm/px{refused}; fill in the sheet's column spacing_um "
            "or set slides: assumed_spacing_um"
        )
        return SlideMetadata(slide, "excluded", reason)
    # One pixel, read now, tells a truncated file from a whole one early.
    opened.read(opened.width_px - 1, opened.height_px - 1, (1, 1), (1, 1))
    return SlideMetadata(
        slide,
        "ok",
        width_px=opened.width_px,
        height_px=opened.height_px,
        level_downsamples=opened.level_downsamples,
        spacing_um=spacing.um,
        spacing_source=spacing.source,
        spacing_refused=spacing.refused,
        objective_power=opened.properties.get("openslide.objective-power", ""),
        vendor=opened.properties.get("openslide.vendor", ""),
        offset_px=(int(opened.properties.get(BOUNDS_X, 0)), int(opened.properties.get(BOUNDS_Y, 0))),
    )


def inspect_slide(slide: str, path: Path, sheet_um: float | None, assumed_um: float | None) -> SlideMetadata:
    """Open a slide and describe it; a slide that cannot be used is a result with a reason."""
    try:
        with Slide(path) as opened:
            return describe_slide(opened, slide, sheet_um, assumed_um)
    except UserError as error:
        return SlideMetadata(slide, "excluded", str(error))


def write_metadata(path: Path, metadata: SlideMetadata) -> None:
    """Write `metadata.json`, whole or not at all."""
    write_text_whole(path, json.dumps(asdict(metadata), indent=2, ensure_ascii=False) + "\n")


def read_metadata(path: Path) -> SlideMetadata:
    """Read `metadata.json`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        lists = {key: tuple(values[key]) for key in ("level_downsamples", "spacing_refused", "offset_px")}
        return SlideMetadata(**{**values, **lists})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable metadata of a slide ({error}); delete it and rerun") from error
