"""Train an encoder on the patches of shards without labels."""

import argparse
import json
from pathlib import Path

import torch

from histossl.cli import run
from histossl.config.sheets import read_slide_sheet
from histossl.ssl.loop import pretrain
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.tiles.shards import ShardSet


def main(argv: list[str] | None = None) -> None:
    """Parse arguments, train, write the encoder and its training curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name, for messages")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON; see histossl.ssl.settings")
    parser.add_argument("--sheet", required=True, type=Path, help="slide sheet: whose shards to train on")
    parser.add_argument("--shards", required=True, type=Path, help="folder with a shard for each slide")
    parser.add_argument("--output", required=True, type=Path, help="encoder.pt")
    parser.add_argument("--curve", required=True, type=Path, help="figures by step, JSON lines")
    parser.add_argument("--checkpoints", required=True, type=Path, help="folder, used while the training lasts")
    parser.add_argument("--checkpoint-every-s", type=float, default=600.0, help="seconds between checkpoints")
    parser.add_argument("--workers", type=int, default=2, help="processes that prepare batches, a training process")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a training process")
    arguments = parser.parse_args(argv)

    torch.set_num_threads(arguments.threads)
    settings = read_settings(arguments.settings, METHODS)
    paths = [arguments.shards / f"{slide}.h5" for slide in read_slide_sheet(arguments.sheet)]
    with ShardSet(paths) as shards:
        pretrain(
            arguments.name,
            settings,
            shards,
            arguments.output,
            arguments.curve,
            arguments.checkpoints,
            arguments.workers,
            arguments.checkpoint_every_s,
        )


if __name__ == "__main__":
    run(main)
