"""Write the encoder file of a network that is not trained here: untrained, or with published weights."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import timm
from timm.models import PretrainedCfg

from histossl.cli import run
from histossl.encoders.backbone import count_features
from histossl.encoders.encoder_file import EncoderCard, save_encoder
from histossl.encoders.hub import read_hub_model
from histossl.encoders.hub_location import on_hub
from histossl.encoders.preprocessing import resolve_preprocessing
from histossl.encoders.published import load_backbone


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, build the network, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json.loads, required=True, help="see `encoders` in the config schema, JSON")
    parser.add_argument("--output", type=Path, required=True, help="encoder.pt; its card goes beside it")
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    model, model_args, weights, data_config = settings["model"], settings["model_args"], settings["weights"], None
    if on_hub(model):
        # The card gets timm's own name and arguments: the file has to be read where there is no network.
        published = read_hub_model(model)
        weights = model if weights is True else weights
        model, model_args = published.architecture, {**published.model_args, **model_args}
        data_config = published.data_config
    pooling = settings["pooling"] or ""
    backbone, unmatched = load_backbone(
        model, model_args, settings["seed"], weights, settings["last_block"], pooling, settings["strict"]
    )
    data_config = data_config or (timm.get_pretrained_cfg(model) or PretrainedCfg()).to_dict()
    if isinstance(weights, str) and weights != model and not on_hub(settings["model"]):
        # A file says nothing of its pictures: timm's crop is that of other weights.
        data_config = {**data_config, "crop_pct": 1.0}
        for key in ("mean", "std"):
            if settings[key] is None:
                print(f"{weights}: {key} is not stated; taken from timm's own weights of {model!r}")
    preprocessing = resolve_preprocessing(settings, data_config, settings["model_args"].get("img_size"))
    card = EncoderCard(
        model=model,
        model_args=model_args,
        spacing_um=tuple(settings["spacing_um"]),
        feature_dim=count_features(backbone, preprocessing.input_px),
        method="timm" if weights else "untrained",
        training={},
        data_hash="",
        last_block=settings["last_block"],
        pooling=pooling,
        unmatched=tuple(unmatched),
        **asdict(preprocessing),
    )
    save_encoder(arguments.output, card, backbone)


if __name__ == "__main__":
    run(main)
