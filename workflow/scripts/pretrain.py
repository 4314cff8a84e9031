"""Train an encoder on the patches of shards without labels."""

import argparse
import json
import os
from pathlib import Path

import torch

from histossl.cli import run
from histossl.ssl.loop import pretrain
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.stain.fit import fit_stain
from histossl.tiles.shards import ShardSet, list_shards


def main(argv: list[str] | None = None) -> None:
    """Parse arguments, train, write the encoder and its training curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name, for messages")
    parser.add_argument("--settings", required=True, type=json.loads, help="JSON; see histossl.ssl.settings")
    parser.add_argument("--slides", required=True, type=Path, help="ids of the slides to train on, one a line")
    parser.add_argument("--shards", required=True, type=Path, help="folder with a shard for each slide")
    parser.add_argument("--knn-source", nargs="*", type=Path, default=[], help="patch data set of health.knn")
    parser.add_argument("--knn-layout", nargs="*", default=[], help="how it lies on the disk")
    parser.add_argument("--knn-stain", nargs="*", type=json.loads, default=[], help="its `stain`, JSON")
    parser.add_argument("--output", required=True, type=Path, help="encoder.pt")
    parser.add_argument("--curve", required=True, type=Path, help="figures by step, JSON lines")
    parser.add_argument("--checkpoints", required=True, type=Path, help="folder, used while the training lasts")
    parser.add_argument("--checkpoint-every-s", type=float, default=600.0, help="seconds between checkpoints")
    parser.add_argument("--workers", type=int, default=2, help="processes that prepare batches, in all")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, in all")
    parser.add_argument("--compile", action="store_true", help="let torch.compile work on the networks first")
    parser.add_argument("--code", default="", help="its fingerprint; checkpoints of other code are not resumed")
    arguments = parser.parse_args(argv)

    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    torch.set_num_threads(max(1, arguments.threads // processes))
    settings = read_settings(arguments.settings, METHODS)
    with ShardSet(list_shards(arguments.slides, arguments.shards)) as shards:
        pretrain(
            arguments.name,
            settings,
            shards,
            arguments.output,
            arguments.curve,
            arguments.checkpoints,
            -(-arguments.workers // processes),
            arguments.checkpoint_every_s,
            arguments.code,
            arguments.compile,
            next(iter(arguments.knn_source), None),
            next(iter(arguments.knn_layout), ""),
            fit_stain(next(iter(arguments.knn_stain), None)),
        )


if __name__ == "__main__":
    run(main)
