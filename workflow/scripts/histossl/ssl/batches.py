"""Batches of views: which patches a step trains on, and the workers that prepare them."""

import signal
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from histossl.errors import UserError
from histossl.ssl.settings import AugmentationSettings
from histossl.ssl.views import draw_views
from histossl.ssl.views_opencv import make_view
from histossl.tiles.shards import ShardSet


class Batch(NamedTuple):
    """The views of B patches."""

    crops: list[torch.Tensor]
    """For each side length, in the order of the settings: (V, B, px, px, 3) uint8."""
    damaged: list[str]
    """One sentence for each patch that could not be read and was replaced."""


class StepSampler(Sampler[list[tuple[int, int]]]):
    """For each step from `first_step` on, the (epoch, patch) pairs of this process.

    The order of an epoch is a function of the seed and the epoch alone: a resumed run continues it, and any number of
    processes splits the same global batches. What is left of an epoch beyond whole batches is dropped.
    """

    def __init__(
        self,
        slide_index: np.ndarray,
        sampling: str,
        batch: int,
        seed: int,
        first_step: int,
        last_step: int,
        process: int = 0,
        process_count: int = 1,
    ) -> None:
        """`slide_index` (N,) says which slide each patch is from; steps are `first_step` up to before `last_step`.

        Raises:
            UserError: the batch is larger than the set, or can't be shared evenly among the processes.
        """
        if batch > len(slide_index):
            raise UserError(
                f"the shards hold {len(slide_index)} patches, fewer than a batch of {batch}; "
                "lower `batch` or add slides"
            )
        if batch % process_count:
            raise UserError(
                f"a batch of {batch} can't be shared evenly among {process_count} processes; change `batch`"
            )
        self.slide_index, self.sampling, self.batch, self.seed = slide_index, sampling, batch, seed
        self.first_step, self.last_step = first_step, last_step
        self.process, self.process_count = process, process_count
        self.steps_per_epoch = len(slide_index) // batch

    def __len__(self) -> int:
        return self.last_step - self.first_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.empty(0, int)
        for step in range(self.first_step, self.last_step):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = self.epoch_order(epoch)
            start = step % self.steps_per_epoch * self.batch
            own = order[start + self.process : start + self.batch : self.process_count]
            yield [(epoch, int(index)) for index in own]

    def epoch_order(self, epoch: int) -> np.ndarray:
        """Patches in the order in which `epoch` visits them, (N,)."""
        random = np.random.default_rng([self.seed, epoch])
        count = len(self.slide_index)
        if self.sampling == "uniform":
            return random.permutation(count)
        by_slide = np.argsort(self.slide_index, kind="stable")
        members = np.split(by_slide, np.flatnonzero(np.diff(self.slide_index[by_slide])) + 1)
        share = -(-count // len(members))
        return random.permutation(np.concatenate([np.resize(random.permutation(own), share) for own in members]))[
            :count
        ]


class PatchViews(Dataset):
    """Views of the patches of a `ShardSet`, a whole batch at a time."""

    def __init__(self, shards: ShardSet, augmentation: AugmentationSettings, seed: int) -> None:
        """`seed` is that of the views' random parameters."""
        self.shards, self.augmentation, self.seed = shards, augmentation, seed
        self.view_px = [view.px for view in augmentation.views for _ in range(view.count)]

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch:
        """The views of the patches `keys`, (epoch, index) pairs of one epoch."""
        parameters = draw_views(
            self.augmentation, self.shards.patch_px, self.seed, keys[0][0], [index for _, index in keys]
        )
        sides = list(dict.fromkeys(self.view_px))
        crops = {px: np.empty((self.view_px.count(px), len(keys), px, px, 3), np.uint8) for px in sides}
        damaged: list[str] = []
        for position, (_, index) in enumerate(keys):
            patch = self.read_or_replace(index, damaged)
            filled = dict.fromkeys(sides, 0)
            for view, px in enumerate(self.view_px):
                crops[px][filled[px], position] = make_view(patch, parameters, position, view, px)
                filled[px] += 1
        return Batch([torch.from_numpy(crops[px]) for px in sides], damaged)

    def read_or_replace(self, index: int, damaged: list[str]) -> np.ndarray:
        """Read patch `index`; where it is damaged add a sentence to `damaged` and read the next sound one."""
        for further in range(len(self.shards)):
            try:
                return self.shards.read((index + further) % len(self.shards))
            except UserError as error:
                damaged.append(str(error))
        raise UserError("not one patch of the shards can be read; delete the shards and rerun")


def load_batches(views: PatchViews, sampler: StepSampler, workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Prepare the sampler's batches, in order, in `workers` processes (0: in this one)."""
    cv2.setNumThreads(0)
    loader = DataLoader(
        views,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=pass_on,
        worker_init_fn=start_worker,
        pin_memory=pin_memory,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def pass_on(batch: Batch) -> Batch:
    """Batches are put together in `PatchViews` already."""
    return batch


def start_worker(_: int) -> None:
    """Settings of a worker process."""
    cv2.setNumThreads(0)
    # A scheduler signals all processes of a job; the main process still needs batches to end its step and save.
    for name in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(name, signal.SIG_IGN)
