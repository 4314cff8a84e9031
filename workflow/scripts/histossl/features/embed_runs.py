"""From runs of patches to features: readers, transfer and network work at the same time."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch

from histossl.errors import UserError
from histossl.features.embed import Embedder, Launched
from histossl.features.readers import BATCH, Readers, Run

IN_FLIGHT = 2
"""Batches on a GPU at a time: while one's features are fetched, the next is being worked on."""
Some = TypeVar("Some", bound=Run)


def embed_runs(
    runs: Iterable[Some], readers: Readers, embedder: Embedder
) -> Iterator[tuple[Some, int, np.ndarray | UserError]]:
    """Embed runs as their patches come in.

    Batches are of one run and start at multiples of `BATCH`, so that features do not depend on what else is embedded,
    in which order, or on how many readers there are.

    Yields:
        A run, the number of a patch in it, and the features from there on, (B, D) float32, or why there are none. Runs
        may overtake each other, and features come of a run that has failed further on.

    Raises:
        JobError: a reader was ended from outside, or the network doesn't fit into memory.
    """
    uploaded: dict[int, list[torch.Tensor]] = {}
    done: dict[int, int] = {}
    launched: deque[tuple[Some, int, Launched]] = deque()
    for run, said in readers.read(runs):
        parts, start = uploaded.setdefault(id(run), []), done.setdefault(id(run), 0)
        if isinstance(said, np.ndarray):
            parts.append(embedder.upload(said, run.prepared))
            rows = sum(map(len, parts))
            if rows < BATCH and start + rows < run.shape[0]:
                continue
            launched.append((run, start, embedder.launch(parts)))
            done[id(run)], uploaded[id(run)] = start + rows, []
            while len(launched) >= IN_FLIGHT:
                yield _fetch(*launched.popleft(), embedder)
        else:
            del uploaded[id(run)], done[id(run)]
            if said is not None:
                yield run, start, said
    while launched:
        yield _fetch(*launched.popleft(), embedder)


def _fetch(run: Some, start: int, launched: Launched, embedder: Embedder) -> tuple[Some, int, np.ndarray | UserError]:
    try:
        return run, start, embedder.fetch(launched)
    except UserError as error:
        return run, start, UserError(f"{run.path}: {error}")
