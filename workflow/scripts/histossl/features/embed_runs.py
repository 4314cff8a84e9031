"""From runs of patches to features: readers, transfer and network work at the same time."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from histossl.errors import UserError
from histossl.features.embed import Embedder
from histossl.features.readers import Readers, Run

IN_FLIGHT = 2
"""Batches on a GPU at a time: while one's features are fetched, the next is being worked on."""


def embed_runs(
    runs: Iterable[Run], readers: Readers, embedder: Embedder
) -> Iterator[tuple[Run, np.ndarray | UserError]]:
    """Embed runs as their patches come in.

    A run is a batch of its own, so that its features do not depend on what else is embedded, in which order, or on how
    many readers there are.

    Yields:
        A run with its features, (B, D) float32, or with why there are none. Runs may overtake each other.

    Raises:
        JobError: a reader was ended from outside, or the network doesn't fit into memory.
    """
    uploaded: dict[int, list[torch.Tensor]] = {}
    launched: deque[tuple[Run, torch.Tensor]] = deque()
    for run, said in readers.read(runs):
        if isinstance(said, np.ndarray):
            uploaded.setdefault(id(run), []).append(embedder.upload(said, run.prepared))
            continue
        parts = uploaded.pop(id(run), [])
        if said is not None:
            yield run, said
            continue
        launched.append((run, embedder.launch(parts)))
        while len(launched) >= IN_FLIGHT:
            yield _fetch(*launched.popleft(), embedder)
    while launched:
        yield _fetch(*launched.popleft(), embedder)


def _fetch(run: Run, features: torch.Tensor, embedder: Embedder) -> tuple[Run, np.ndarray | UserError]:
    try:
        return run, embedder.fetch(features)
    except UserError as error:
        return run, UserError(f"{run.path}: {error}")
