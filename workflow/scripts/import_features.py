"""Take over the features of a batch of slides from files of CLAM or TRIDENT; what is still valid is passed over."""

import argparse
import json
from pathlib import Path

from histossl.cli import run
from histossl.config.feature_files import find_feature_files
from histossl.config.sheets import read_slide_sheet
from histossl.errors import UserError
from histossl.features.foreign_features import (
    check_width,
    fingerprint_import,
    no_features,
    read_foreign_features,
    write_foreign_features,
)
from histossl.features.slide_features import read_fingerprint
from histossl.files import write_text_whole
from histossl.progress import Progress


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, import what changed, write the manifest of the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the encoder's name in the config")
    parser.add_argument("--card", type=Path, required=True, help="encoder.json of `describe_features`")
    parser.add_argument("--folder", type=Path, required=True, help="where the feature files are")
    parser.add_argument("--sheet", type=Path, required=True, help="the slide sheet")
    parser.add_argument("--slides", nargs="+", required=True, help="ids of the batch")
    parser.add_argument("--features", type=Path, required=True, help="folder of our feature files")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON that lists what was imported")
    parser.add_argument("--on-bad-slide", choices=["exclude", "fail"], required=True)
    parser.add_argument("--code", required=True, help="fingerprint of the code; a change imports anew")
    arguments = parser.parse_args(argv)
    card = json.loads(arguments.card.read_text(encoding="utf-8"))
    files = find_feature_files(arguments.folder, {r.slide: r.path for r in read_slide_sheet(arguments.sheet).values()})
    progress = Progress(f"import {arguments.name}", len(arguments.slides), "slides")
    manifest = []
    for slide in arguments.slides:
        output, file = arguments.features / f"{slide}.h5", files.get(slide)
        fingerprint, reason = fingerprint_import(file, arguments.code) if file else "", ""
        if not fingerprint or read_fingerprint(output) != fingerprint:
            try:
                if file is None:
                    raise UserError(f"{arguments.folder}: has no feature file of slide {slide!r}; make it")
                found = read_foreign_features(file)
                reason = "" if len(found.features) else f"{file}: has no patches"
            except UserError as error:
                if arguments.on_bad_slide == "fail":
                    raise
                found, reason = no_features(card["feature_dim"]), str(error)
            check_width(file, found, card["feature_dim"])
            if reason:
                fingerprint = ""  # the next run of this job tries again
                print(f"slide {slide} is left out: {reason}")
            facts = {"encoder": arguments.name, "source": str(file or ""), "fingerprint": fingerprint, "reason": reason}
            write_foreign_features(output, found, slide, facts)
        said = {"stage": "import_features", "fingerprint": fingerprint, "reason": reason}
        manifest.append({"slide": slide, **said, "files": [output.name]})
        progress.advance()
    write_text_whole(arguments.manifest, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main)
