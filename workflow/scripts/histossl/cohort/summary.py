"""What became of each slide: its row in the cohort table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histossl.slides.metadata import read_metadata
from histossl.tiles.coords_file import read_coords
from histossl.tiles.placing import EXCLUDED
from histossl.tiles.tissue_file import read_tissue_facts


def summarise_slide(slide: str, patient: str, slides: Path, tiles: Mapping[str, Path]) -> dict[str, Any]:
    """One row: size, µm/px and its source, tissue, patches and dropped patches of each tiling, status and reason.

    The status is `ok`, `relaxed` (tissue was found at the second try alone: look at it), `no tissue`, `no patches`
    or `excluded` (it could not be read or has no scale).

    Args:
        slide: slide id.
        patient: patient id.
        slides: folder of `{slide}/metadata.json` and `{slide}/tissue.geojson`.
        tiles: for each tiling, the folder of `{slide}.h5`.

    Raises:
        UserError: one of the files is missing or damaged.
    """
    metadata = read_metadata(slides / slide / "metadata.json")
    facts = read_tissue_facts(slides / slide / "tissue.geojson")
    found = {tiling: read_coords(folder / f"{slide}.h5") for tiling, folder in tiles.items()}
    counts: dict[str, int] = {}
    for tiling, coords in found.items():
        counts[f"patches_{tiling}"] = len(coords.coords)
        dropped = {EXCLUDED: 0, **coords.dropped}
        counts |= {f"dropped_{reason}_{tiling}": count for reason, count in dropped.items()}
    reasons = [
        facts.get("reason", ""),
        *(f"{tiling}: {coords.reason}" for tiling, coords in found.items() if coords.reason),
    ]
    if metadata.status != "ok":
        status = "excluded"
    elif facts.get("reason"):
        status = "no tissue"
    elif not any(len(coords.coords) for coords in found.values()):
        status = "no patches"
    else:
        status = "relaxed" if facts.get("relaxed") else "ok"
    return {
        "slide": slide,
        "patient": patient,
        "status": status,
        "width_px": metadata.width_px,
        "height_px": metadata.height_px,
        "spacing_um": metadata.spacing_um,
        "spacing_source": metadata.spacing_source,
        "tissue_mm2": facts.get("area_mm2"),
        **counts,
        "reason": next(filter(None, reasons), ""),
        "note": "; ".join(metadata.spacing_refused),
    }
