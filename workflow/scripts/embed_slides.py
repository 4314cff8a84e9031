"""Embed the patches of a batch of slides; slides whose features are still valid are passed over."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from histossl.cli import run
from histossl.encoders.encoder_file import load_encoder
from histossl.errors import UserError
from histossl.features.embed import Embedder, find_device, resolve_precision
from histossl.features.embed_slides import embed_slides, plan_job, store
from histossl.features.readers import Readers
from histossl.features.slide_features import read_fingerprint
from histossl.files import write_text_whole
from histossl.progress import Progress
from histossl.stain.fit import fit_stain


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, embed what changed, write the manifest of the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name in the config")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder.pt")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="the slides")
    parser.add_argument("--coords", type=Path, nargs="+", required=True, help="HDF5 of `tile_slide`, in the same order")
    parser.add_argument("--features", type=Path, required=True, help="folder of the feature files")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON that lists what was embedded")
    parser.add_argument("--settings", type=json.loads, required=True, help="see `plan.slide_embedding`, JSON")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--code", required=True, help="fingerprint of the code; a change embeds anew")
    parser.add_argument("--batch", type=int, default=0, help="patches at once; 0 finds a number")
    parser.add_argument("--threads", type=int, required=True, help="processes that read, and threads without a GPU")
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    torch.set_num_threads(arguments.threads)
    backbone, card, weights_hash = load_encoder(arguments.encoder)
    normaliser = fit_stain(settings["stain"])
    device = find_device()
    precision = resolve_precision(settings["precision"], device)
    stain = settings["stain"] and [settings["stain"][key] for key in ("method", "content")]
    # The card counts as well as the weights: it says how patches are normalised and resized.
    made_by = f"{weights_hash} {card} {precision} {stain}"
    pairs = zip(arguments.files, arguments.coords, strict=True)
    jobs = [plan_job(*pair, arguments.features, made_by, arguments.code) for pair in pairs]
    todo = [job for job in jobs if read_fingerprint(job.output) != job.fingerprint]
    lines = {job.output: job.line for job in jobs}
    if todo:
        with Readers(arguments.threads, 3 * max(card.input_px, *(job.tiles.patch_px for job in todo)) ** 2) as readers:
            embedder = Embedder(backbone, card, device, precision, arguments.batch)
            # An encoder that gives no numbers is not the fault of a slide, which would be left out for it.
            embedder.embed(np.zeros((1, card.input_px, card.input_px, 3), np.uint8))
            facts = {"encoder": arguments.name, "weights_sha256": weights_hash, "precision": precision}
            facts |= {"stain": normaliser.name if normaliser else "none"}
            progress, patches = Progress(f"embed {arguments.name}", len(todo), "slides"), 0
            for job, features in embed_slides(todo, readers, embedder, normaliser):
                if isinstance(features, UserError):
                    if arguments.on_bad_slide == "fail":
                        raise features
                    print(f"slide {job.tiles.slide} is left out: {features}")
                lines[job.output] = store(job, features, card, facts)
                patches += 0 if isinstance(features, UserError) else len(features)
                progress.advance(images=patches)
    if len(todo) < len(jobs):
        print(f"{len(jobs) - len(todo)} of {len(jobs)} slides had valid features already")
    write_text_whole(arguments.manifest, json.dumps(list(lines.values()), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main)
