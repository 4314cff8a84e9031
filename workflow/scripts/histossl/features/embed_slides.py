"""Embedding the patches of many slides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from histossl.encoders.encoder_file import EncoderCard
from histossl.errors import UserError
from histossl.features.embed import Embedder
from histossl.features.embed_runs import embed_runs
from histossl.features.readers import TRIES, Readers
from histossl.features.slide_features import fingerprint_inputs, write_slide_features
from histossl.features.slide_runs import SlideRun, cut_runs
from histossl.stain.normaliser import Normaliser
from histossl.tiles.coords_file import Coords, read_coords


@dataclass(frozen=True)
class SlideJob:
    """One slide to embed.

    Attributes:
        slide_file: the slide.
        coords_file: HDF5 of its patches.
        tiles: what is in it.
        output: HDF5 to write.
        fingerprint: of all that its features depend on.
    """

    slide_file: Path
    coords_file: Path
    tiles: Coords
    output: Path
    fingerprint: str

    @property
    def patches(self) -> int:
        """How many patches the slide has."""
        return len(self.tiles.coords)

    @property
    def line(self) -> dict[str, Any]:
        """Of the manifest, where all goes well."""
        known = {"slide": self.tiles.slide, "fingerprint": self.fingerprint, "reason": self.tiles.reason}
        return known | {"files": [self.output.name]}


def plan_job(slide_file: Path, coords_file: Path, folder: Path, encoder: str, code: str) -> SlideJob:
    """The job of a slide whose features go to `folder`; for `encoder` and `code` see `fingerprint_inputs`.

    Raises:
        UserError: the coordinates are missing or damaged.
    """
    tiles = read_coords(coords_file)
    fingerprint = fingerprint_inputs(slide_file, tiles, encoder, code)
    return SlideJob(slide_file, coords_file, tiles, folder / f"{tiles.slide}.h5", fingerprint)


def embed_slides(
    jobs: Sequence[SlideJob], readers: Readers, embedder: Embedder, normaliser: Normaliser | None = None
) -> Iterator[tuple[SlideJob, np.ndarray | UserError]]:
    """Embed slides, reading the next while the network works on the last; one without patches is not opened.

    Args:
        jobs: the slides.
        readers: of patches as large as the largest here.
        embedder: the encoder.
        normaliser: of the stain.

    Yields:
        A slide with its features, (N, D) float32, or with why there are none, as soon as it is known. A slide may
        overtake another.
    """
    for job in jobs:
        if not job.patches:
            yield job, np.zeros((0, embedder.card.feature_dim), np.float32)
    waiting = [job for job in jobs if job.patches]
    for tries_left in reversed(range(TRIES)):
        failed = []
        for job, features in _embed_once(waiting, readers, embedder, normaliser):
            if isinstance(features, UserError) and tries_left:
                failed.append(job)
            else:
                yield job, features
        waiting = failed


def store(
    job: SlideJob, features: np.ndarray | UserError, card: EncoderCard, facts: Mapping[str, str]
) -> dict[str, Any]:
    """Write a slide's features, or why it has none, and return its line of the manifest.

    Where it failed the fingerprint is blank, so that the next run of the job tries again.
    """
    line = job.line
    if isinstance(features, UserError):
        line |= {"fingerprint": "", "reason": str(features)}
        features = np.zeros((0, card.feature_dim), np.float32)
    known = {key: line[key] for key in ("fingerprint", "reason")}
    write_slide_features(job.output, features, job.coords_file, card, {**facts, **known})
    return line


def _embed_once(
    jobs: Sequence[SlideJob], readers: Readers, embedder: Embedder, normaliser: Normaliser | None
) -> Iterator[tuple[SlideJob, np.ndarray | UserError]]:
    begun: dict[int, np.ndarray] = {}
    missing: dict[int, int] = {}
    geometry = None if embedder.resizes else embedder.geometry

    def all_runs() -> Iterator[SlideRun]:
        for slide, job in enumerate(jobs):
            begun[slide] = np.empty((job.patches, embedder.card.feature_dim), np.float32)
            missing[slide] = job.patches
            for run in cut_runs(slide, job.slide_file, job.tiles, normaliser, geometry):
                if slide not in begun:  # it has failed
                    break
                yield run

    for run, start, features in embed_runs(all_runs(), readers, embedder):
        slide = run.slide
        if slide not in begun:
            continue
        if isinstance(features, UserError):
            del begun[slide]
            yield jobs[slide], features
            continue
        first = run.start + start
        begun[slide][first : first + len(features)] = features
        missing[slide] -= len(features)
        if not missing[slide]:
            yield jobs[slide], begun.pop(slide)
