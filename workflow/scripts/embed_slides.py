"""Embed the patches of a batch of slides; slides whose features are still valid are passed over."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from histossl.cli import run
from histossl.encoders.encoder_file import load_encoder
from histossl.errors import UserError
from histossl.features.embed import Embedder
from histossl.features.slide_features import embed_slide, fingerprint_inputs, read_fingerprint, write_slide_features
from histossl.files import write_text_whole
from histossl.progress import Progress
from histossl.tiles.coords_file import read_coords


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, embed what changed, write the manifest of the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name in the config")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder.pt")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="the slides")
    parser.add_argument("--coords", type=Path, nargs="+", required=True, help="HDF5 of `tile_slide`, in the same order")
    parser.add_argument("--features", type=Path, required=True, help="folder of the feature files")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON that lists what was embedded")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--code", required=True, help="fingerprint of the code; a change embeds anew")
    parser.add_argument("--batch", type=int, required=True, help="patches at once")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    backbone, card, weights_hash = load_encoder(arguments.encoder)
    embedder = Embedder(backbone, card, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    # An encoder that gives no numbers is not the fault of a slide, which would be left out for it.
    embedder.embed(np.zeros((1, card.input_px, card.input_px, 3), np.uint8))
    progress = Progress(f"embed {arguments.name}", len(arguments.files), "slides")
    manifest, patches = [], 0
    for slide_file, coords_file in zip(arguments.files, arguments.coords, strict=True):
        tiles = read_coords(coords_file)
        embedder.check_spacing(tiles.spacing_um, str(coords_file))
        output = arguments.features / f"{tiles.slide}.h5"
        # The card counts as well as the weights: it says how patches are normalised and resized.
        fingerprint = fingerprint_inputs(slide_file, tiles, f"{weights_hash} {card}", arguments.code)
        reason = tiles.reason
        if read_fingerprint(output) != fingerprint:
            batches = embed_slide(slide_file, tiles, embedder, arguments.batch, arguments.threads)
            facts = {"encoder": arguments.name, "fingerprint": fingerprint, "reason": reason}
            try:
                patches += write_slide_features(output, batches, coords_file, card, weights_hash, facts)
            except UserError as error:
                if arguments.on_bad_slide == "fail":
                    raise
                reason, fingerprint = str(error), ""  # without one, the next run of this job tries again
                facts |= {"fingerprint": fingerprint, "reason": reason}
                write_slide_features(output, [], coords_file, card, weights_hash, facts)
                print(f"slide {tiles.slide} is left out: {reason}")
        manifest.append({"slide": tiles.slide, "fingerprint": fingerprint, "reason": reason})
        progress.advance(images=patches)
    write_text_whole(arguments.manifest, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main)
