"""Compare downloaded archives of a patch data set with the checksums that were published."""

import argparse
import hashlib
from pathlib import Path

from histossl.cli import run
from histossl.config.presets import read_presets
from histossl.errors import UserError
from histossl.progress import Progress

PRESETS = Path(__file__).resolve().parents[2] / "config/presets/patch_datasets.yaml"
CHUNK = 1 << 24


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, print a line for each archive.

    Raises:
        UserError: an archive is missing or differs, or there is nothing to compare with.
    """
    presets = read_presets(PRESETS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", required=True, choices=list(presets), help="see docs/patch_datasets.md")
    parser.add_argument("--folder", type=Path, required=True, help="where the archives are")
    arguments = parser.parse_args(argv)
    archives = presets[arguments.preset]["about"].get("archives", {})
    if not archives:
        raise UserError(f"{arguments.preset}: no checksums are published; see docs/patch_datasets.md")
    wrong = 0
    for name, checksums in archives.items():
        problem = find_problem(arguments.folder / name, checksums)
        wrong += bool(problem)
        print(f"{name}: {problem or 'as published'}")
    if wrong:
        raise UserError(
            f"{arguments.folder}: {wrong} of {len(archives)} archives of {arguments.preset} are missing or differ; "
            "download them again"
        )


def find_problem(archive: Path, checksums: dict[str, str]) -> str:
    """What is wrong with an archive; empty where it has the published checksums, by algorithm."""
    if not archive.is_file():
        return "missing"
    digests = {algorithm: hashlib.new(algorithm) for algorithm in checksums}
    progress = Progress(archive.name, -(-archive.stat().st_size // CHUNK), "chunks of 16 MiB")
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK):
            for digest in digests.values():
                digest.update(chunk)
            progress.advance()
    wrong = [name for name, digest in digests.items() if digest.hexdigest() != checksums[name]]
    return ", ".join(f"differs: {name} {digests[name].hexdigest()}, published {checksums[name]}" for name in wrong)


if __name__ == "__main__":
    run(main)
