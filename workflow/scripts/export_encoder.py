"""Write the encoder file of a network that is not trained here: untrained, or with weights of timm or of a file."""

import argparse
import json
from pathlib import Path

import timm.data

from histossl.cli import run
from histossl.encoders.backbone import build_backbone, count_features
from histossl.encoders.encoder_file import EncoderCard, save_encoder


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, build the network, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json.loads, required=True, help="see `encoders` in the config schema, JSON")
    parser.add_argument("--output", type=Path, required=True, help="encoder.pt; its card goes beside it")
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    backbone = build_backbone(
        settings["model"],
        settings["model_args"],
        settings["seed"],
        settings["weights"],
        last_block=settings["last_block"],
    )
    # Networks come with their own preprocessing; what the config states goes before it.
    own = timm.data.resolve_model_data_config(backbone)
    mean, std = settings["mean"] or own["mean"], settings["std"] or own["std"]
    input_px = settings["input_px"] or own["input_size"][-1]
    card = EncoderCard(
        model=settings["model"],
        model_args=settings["model_args"],
        mean=tuple(mean),
        std=tuple(std),
        input_px=input_px,
        spacing_um=tuple(settings["spacing_um"]),
        feature_dim=count_features(backbone, input_px),
        method="timm" if settings["weights"] else "untrained",
        training={},
        data_hash="",
        last_block=settings["last_block"],
    )
    save_encoder(arguments.output, card, backbone)


if __name__ == "__main__":
    run(main)
