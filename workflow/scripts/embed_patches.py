"""Embed a patch data set."""

import argparse
from pathlib import Path

import torch

from histossl.cli import run
from histossl.encoders.encoder_file import load_encoder
from histossl.features.embed import Embedder
from histossl.features.patch_features import embed_patches, write_patch_features
from histossl.patch_datasets.listing import read_patch_dataset


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, embed, write the features."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name in the config")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder.pt")
    parser.add_argument("--dataset", required=True, help="the data set's name in the config")
    parser.add_argument("--source", type=Path, required=True, help="its sheet or folder")
    parser.add_argument("--spacing-um", type=float, required=True, help="µm/px of its patches")
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    parser.add_argument("--batch", type=int, required=True, help="patches at once")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    backbone, card, weights_hash = load_encoder(arguments.encoder)
    embedder = Embedder(backbone, card, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    embedder.check_spacing(arguments.spacing_um, f"patch data set {arguments.dataset}")
    patches = read_patch_dataset(arguments.source)
    features = embed_patches(patches, embedder, arguments.batch, arguments.threads)
    facts = {"encoder": arguments.name, "dataset": arguments.dataset, "weights_sha256": weights_hash}
    write_patch_features(arguments.output, features, patches, card, facts)
    print(f"{arguments.dataset}: {len(features)} patches embedded by {arguments.name}")


if __name__ == "__main__":
    run(main)
