"""The settings of someone who sets nothing, for benchmarks to measure."""

import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

from histossl.config.load import load_config
from histossl.config.plan import pretrain_settings, tissue_settings
from histossl.tiles.tissue import TissueSettings


def default_config() -> dict[str, Any]:
    """The schema's defaults, with the tiling `p256`: 256 px at 0.5 µm/px."""
    tilings = {"p256": {"patch_px": 256, "spacing_um": 0.5}}
    values = {"slides": {"sheet": ""}, "encoders": {"none": {}}, "tilings": tilings}
    return load_config(values, REPOSITORY / "config/schemas/config.schema.yaml")


def default_tissue() -> TissueSettings:
    """How tissue is segmented by default."""
    return TissueSettings(**tissue_settings(default_config()))


def default_pretraining(method: str, model: str) -> dict[str, Any]:
    """A method's settings as the schema has them, with `epochs: 100`."""
    run = {"method": method, "tiling": "p256", "model": model, "epochs": 100}
    tilings = {"p256": {"patch_px": 256, "spacing_um": 0.5}}
    values = {"slides": {"sheet": ""}, "encoders": {"run": {"pretrain": run}}, "tilings": tilings}
    return pretrain_settings(load_config(values, REPOSITORY / "config/schemas/config.schema.yaml"), "run")
