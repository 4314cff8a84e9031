"""Batches of views: which patches a step trains on, and the workers that prepare them."""

import signal
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from histossl.errors import JobError, UserError
from histossl.ssl.settings import AugmentationSettings
from histossl.ssl.views import draw_views, view_sides
from histossl.ssl.views_opencv import make_views
from histossl.tiles.shards import ShardSet

DAMAGED_IN_A_ROW = 100
"""So many are no longer single damaged patches."""


class Batch(NamedTuple):
    """The views of B patches, or all that it takes to make them on the device."""

    damaged: list[str]
    """One sentence for each patch that could not be read and was replaced."""
    crops: Sequence[torch.Tensor] = ()
    """Views made here: for each side length, in the order of the settings, (V, B, px, px, 3) uint8."""
    patches: torch.Tensor | None = None
    """(B, side, side, 3) uint8, where the views are made on the device."""
    parameters: Sequence[torch.Tensor] = ()
    """Of these views: for each side length (B, V, C), the table of a `ViewParameters`."""


class StepSampler(Sampler[list[tuple[int, int]]]):
    """For each part of each step from `first_step` on, the (epoch, patch) pairs of this process.

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
        parts: int = 1,
    ) -> None:
        """`slide_index` (N,) says which slide each patch is from; steps are `first_step` up to before `last_step`.

        A step's batch comes in `parts` of one size.

        Raises:
            UserError: the batch is larger than the set, or can't be shared evenly among the processes.
        """
        if batch > len(slide_index):
            raise UserError(
                f"the shards hold {len(slide_index)} patches, fewer than a batch of {batch}; "
                "lower `batch` or add slides"
            )
        if batch % (parts * process_count):
            in_parts = f" in {parts} parts" if parts > 1 else ""
            raise UserError(
                f"a batch of {batch}{in_parts} can't be shared evenly among {process_count} processes; change `batch`"
            )
        self.slide_index, self.sampling, self.batch, self.seed = slide_index, sampling, batch, seed
        self.first_step, self.last_step = first_step, last_step
        self.parts, self.process, self.process_count = parts, process, process_count
        self.steps_per_epoch = len(slide_index) // batch

    def __len__(self) -> int:
        return (self.last_step - self.first_step) * self.parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.empty(0, int)
        for step in range(self.first_step, self.last_step):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = self.epoch_order(epoch)
            start = step % self.steps_per_epoch * self.batch
            for part in order[start : start + self.batch].reshape(self.parts, -1):
                yield [(epoch, int(index)) for index in part[self.process :: self.process_count]]

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

    def __init__(
        self, shards: ShardSet, augmentation: AugmentationSettings, seed: int, on_device: bool = False
    ) -> None:
        """`seed` is that of the views' random parameters; `on_device` says that the device makes the views."""
        self.shards, self.augmentation, self.seed, self.on_device = shards, augmentation, seed, on_device
        self.view_px = view_sides(augmentation)

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch | UserError:
        """The views of the patches `keys`, (epoch, index) pairs of one epoch.

        An error is handed over, not raised: PyTorch would wrap its sentence in the traceback of the worker.
        """
        try:
            return self.make(keys)
        except UserError as error:
            return error

    def make(self, keys: list[tuple[int, int]]) -> Batch:
        """The batch; raises a UserError where patches can't be read."""
        indices = [index for _, index in keys]
        self.shards.read_ahead(indices)
        parameters = draw_views(self.augmentation, self.shards.patch_px, self.seed, keys[0][0], indices)
        damaged: list[str] = []
        patches = (self.read_or_replace(index, damaged) for index in indices)
        views_of = {px: [i for i, other in enumerate(self.view_px) if other == px] for px in self.view_px}
        if self.on_device:
            stacked = torch.from_numpy(np.stack(list(patches)))
            tables = [torch.from_numpy(parameters.table[:, views]) for views in views_of.values()]
            return Batch(damaged, patches=stacked, parameters=tables)
        crops = {px: np.empty((len(views), len(keys), px, px, 3), np.uint8) for px, views in views_of.items()}
        for position, patch in enumerate(patches):
            made = make_views(patch, parameters.at(position), self.view_px)
            for px, views in views_of.items():
                for place, view in zip(crops[px], views, strict=True):
                    place[position] = made[view]
        return Batch(damaged, crops=[torch.from_numpy(side) for side in crops.values()])

    def read_or_replace(self, index: int, damaged: list[str]) -> np.ndarray:
        """Read patch `index`; where it is damaged add a sentence to `damaged` and read the next sound one."""
        tries = min(len(self.shards), DAMAGED_IN_A_ROW)
        for further in range(tries):
            try:
                return self.shards.read((index + further) % len(self.shards))
            except UserError as error:
                damaged.append(str(error))
        raise UserError(f"{tries} patches in a row can't be read, of which the last: {damaged[-1]}")


def load_batches(
    views: PatchViews, sampler: StepSampler, workers: int, pin_memory: bool
) -> Generator[Batch, None, None]:
    """Prepare the sampler's batches, in order, in `workers` processes (0: in this one); close it when done.

    Raises:
        UserError: patches can't be read.
        JobError: a process was ended from outside.
    """
    cv2.setNumThreads(0)
    loader = DataLoader(
        views,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=pass_on,
        worker_init_fn=start_worker,
        pin_memory=pin_memory,
        prefetch_factor=2 if workers else None,
    )
    iterator = iter(loader)
    try:
        for batch in iterator:
            if isinstance(batch, UserError):
                raise batch
            yield batch
    # The latter two where it has handed over a batch whose memory can't be fetched from it any more.
    except (RuntimeError, EOFError, ConnectionError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        raise JobError(
            "a process that prepares batches was ended from outside, most often for want of memory, or of shared "
            "memory (/dev/shm) in a container; give the job more, or lower `pretrain_threads`, and rerun"
        ) from error
    finally:
        # They do not heed SIGTERM, with which Python would end them at its own end and then wait for them for ever.
        if workers:
            iterator._shutdown_workers()


def pass_on(batch: Batch | UserError) -> Batch | UserError:
    """Batches are put together in `PatchViews` already."""
    return batch


def start_worker(_: int) -> None:
    """Settings of a worker process."""
    cv2.setNumThreads(0)
    # A scheduler signals all processes of a job; the main process still needs batches to end its step and save.
    for name in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(name, signal.SIG_IGN)
