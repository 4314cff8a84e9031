"""What is planned of the encoders' attention: which patches are looked at, and what is drawn of it."""

import zlib
from collections.abc import Collection, Mapping
from typing import Any

from histossl.config import plan

Config = Mapping[str, Any]
SAMPLED, DRAWN = "sampled", "drawn"
"""What is looked at: the patches that `attention` asks for, and those of the phantom whose tissue is known."""
DRAWN_SOURCE, DRAWN_SPLIT = "results/phantom/patches/patches.csv", "test"
SLIDES = 16
"""At most so many are opened for an encoder."""


def encoder_files(config: Config, encoder: str) -> list[str]:
    """The network to look into; none where features were made elsewhere."""
    return [] if encoder in plan.imported_encoders(config) else [f"results/encoders/{encoder}/encoder.pt"]


def shown_dataset(config: Config) -> str:
    """The patch data set that is shown; empty for patches of slides."""
    return (config["attention"]["source"] or "").partition(":")[0]


def samples(config: Config) -> list[str]:
    """What is looked at."""
    return [SAMPLED, *([DRAWN] if config["phantom"] else [])]


def sources(config: Config, encoder: str) -> list[str]:
    """The patch data sets that are looked at; none where there is no network."""
    shown = shown_dataset(config)
    wanted = [config["patch_datasets"][shown]["source"]] if shown else []
    wanted += [DRAWN_SOURCE] if config["phantom"] else []
    return wanted if encoder_files(config, encoder) else []


def pictured(config: Config, encoder: str) -> list[str]:
    """The data set of `attention.source`, where the encoder looks at it."""
    shown = shown_dataset(config)
    return [shown] if shown and encoder_files(config, encoder) else []


def slides(config: Config, encoder: str, cohort: Collection[str]) -> list[str]:
    """The slides whose patches are sampled: those of the least hash with the seed, so that a new one changes little."""
    if not encoder_files(config, encoder) or shown_dataset(config):
        return []
    seed = config["attention"]["seed"]
    return sorted(cohort, key=lambda slide: (zlib.crc32(f"{seed} {slide}".encode()), slide))[:SLIDES]


def tiling(config: Config, encoder: str) -> str:
    """The tiling whose patches are sampled for an encoder.

    It is the one that it, or that of which it is the control, is trained on; else that of the first slide task which
    compares it, or the first of all.
    """
    chosen = config["encoders"][encoder]
    trained = chosen.get("untrained", encoder)
    if trained in plan.pretrained_encoders(config):
        return plan.pretrain_tiling(config, trained)
    tasks = config["slide_tasks"].values()
    return next(
        (task["tiling"] for task in tasks if encoder in plan.task_encoders(config, task)), next(iter(config["tilings"]))
    )


def sample_settings(config: Config, encoder: str) -> list[dict[str, Any]]:
    """For each of `samples`, what decides which patches are looked at and how they look."""
    common = {key: config["attention"][key] for key in ("searched", "seed")}
    drawn = {"source": DRAWN_SOURCE, "layout": "", "split": DRAWN_SPLIT, "all_up_to": 0, "stain": None}
    if shown := shown_dataset(config):
        sampled = {
            "source": config["patch_datasets"][shown]["source"],
            "layout": plan.patch_layout(config, shown),
            "split": config["attention"]["source"].partition(":")[2],
            "all_up_to": config["attention"]["patches"],
            "stain": plan.stain_settings(config, "patch_datasets", shown),
        }
    else:
        sampled = {"source": None, "stain": plan.stain_settings(config, "tilings", tiling(config, encoder))}
    return [{**common, **{SAMPLED: sampled, DRAWN: drawn}[sample]} for sample in samples(config)]


def figure_settings(config: Config) -> dict[str, Any]:
    """What decides how the figures are drawn."""
    return {key: config["attention"][key] for key in ("patches", "mass")}


def figures(config: Config) -> list[str]:
    """The figures of all encoders."""
    return [
        f"results/figures/attention/{encoder}/{kind}.{suffix}"
        for encoder in config["encoders"]
        for kind in ("patches", "heads")
        for suffix in ("svg", "png")
    ]


def scored_maps(config: Config) -> list[str]:
    """The maps on drawn tissue that the table is made from; each control follows the encoder that it is of."""
    controls = plan.controls(config)
    first = [name for name in config["encoders"] if encoder_files(config, name) and name not in controls.values()]
    ordered = [name for encoder in first for name in (encoder, controls.get(encoder)) if name]
    return [f"results/attention/{name}/{DRAWN}.h5" for name in ordered]


def tables(config: Config) -> list[str]:
    """The table of what heads pick, which there is where tissue is drawn."""
    drawn = config["phantom"] and scored_maps(config)
    return [f"results/tables/attention.{suffix}" for suffix in ("csv", "md", "tex")] if drawn else []
