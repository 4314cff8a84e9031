"""Embed a patch data set."""

import argparse
import json
import os
from pathlib import Path

import torch

from histossl.cli import run
from histossl.encoders.encoder_file import load_encoder
from histossl.features.embed import Embedder, find_device, resolve_precision
from histossl.features.patch_features import embed_patches, write_patch_features
from histossl.features.readers import Readers
from histossl.patch_datasets.listing import read_patch_dataset
from histossl.progress import Progress
from histossl.stain.fit import fit_stain


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, embed, write the features."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name in the config")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder.pt")
    parser.add_argument("--dataset", required=True, help="the data set's name in the config")
    parser.add_argument("--source", type=Path, required=True, help="its sheet or folder")
    parser.add_argument("--settings", type=json.loads, required=True, help="see `plan.patch_embedding`, JSON")
    parser.add_argument("--output", type=Path, required=True, help="HDF5")
    parser.add_argument("--batch", type=int, default=0, help="patches at once; 0 finds a number")
    parser.add_argument("--threads", type=int, required=True, help="processes that read, and threads without a GPU")
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    torch.set_num_threads(arguments.threads)
    backbone, card, weights_hash = load_encoder(arguments.encoder)
    patches = read_patch_dataset(arguments.source, settings["layout"])
    normaliser = fit_stain(settings["stain"])
    with Readers(arguments.threads, 3 * card.input_px**2) as readers:
        device = find_device()
        precision = resolve_precision(settings["precision"], device)
        embedder = Embedder(backbone, card, device, precision, arguments.batch)
        progress = Progress(f"embed {arguments.name}", len(patches), "patches")
        features = embed_patches(arguments.source, patches, readers, embedder, progress, normaliser)
    facts = {"encoder": arguments.name, "weights_sha256": weights_hash, "precision": embedder.precision}
    facts |= {"dataset": arguments.dataset, "source": os.path.normpath(arguments.source)}
    facts |= {"stain": normaliser.name if normaliser else "none"}
    write_patch_features(arguments.output, features, patches, card, facts)


if __name__ == "__main__":
    run(main)
