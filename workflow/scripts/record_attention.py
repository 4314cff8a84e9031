"""What each attention head of an encoder looks at in some patches, of slides or of a patch data set."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from histossl.attention.maps_file import AttentionMaps, write_maps
from histossl.attention.record import NoAttention, find_layer, record_maps
from histossl.attention.sample import draw_sample
from histossl.cli import run
from histossl.encoders.encoder_file import load_encoder
from histossl.features.geometry import Geometry

ELSEWHERE = "its features were made elsewhere, without a network to look into"


def main(argv: list[str] | None = None) -> None:
    """Read the arguments; of each sample of patches write the maps, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name in the config")
    parser.add_argument("--encoder", type=Path, nargs="*", required=True, help="encoder.pt; none for imported features")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="slides, for a sample without a source")
    parser.add_argument("--coords", type=Path, nargs="*", default=[], help="coordinates of each")
    parser.add_argument("--settings", type=json.loads, required=True, help="see `attention.sample_settings`, JSON")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="HDF5, for each of the settings")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    for settings, output in zip(arguments.settings, arguments.outputs, strict=True):
        try:
            found = look(arguments, settings)
        except NoAttention as reason:
            found = AttentionMaps.none(arguments.name, str(reason))
        write_maps(output, found)


def look(arguments: argparse.Namespace, settings: Mapping[str, Any]) -> AttentionMaps:
    """The maps on one sample; raises `NoAttention` where there are none."""
    if not arguments.encoder:
        raise NoAttention(ELSEWHERE)
    backbone, card, _ = load_encoder(arguments.encoder[0])
    find_layer(backbone)  # before patches are read
    geometry = Geometry.of_encoder(card)
    names, pictures = draw_sample(settings, arguments.files, arguments.coords, geometry)
    if not pictures:
        raise NoAttention("there is no patch to look at")
    stacked = np.stack(pictures)
    maps, whose = record_maps(backbone, card, stacked)
    field = geometry.input_px / max(geometry.input_px, geometry.resize_px)
    return AttentionMaps(arguments.name, names, stacked, maps, whose, field)


if __name__ == "__main__":
    run(main)
