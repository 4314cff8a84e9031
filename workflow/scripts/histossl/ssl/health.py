"""Figures of a run's health: how far images differ to its encoder, on patches that stay the same."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from histossl.errors import UserError
from histossl.features.geometry import Geometry
from histossl.ssl.knn import LabelledPictures, knn_accuracy, read_labelled_pictures
from histossl.ssl.method import feature_spread
from histossl.ssl.settings import PretrainSettings
from histossl.stain.normaliser import Normaliser
from histossl.tiles.shards import ShardSet

BATCH = 64
"""Patches that go through the encoder at once."""


class Health:
    """The patches that an encoder is examined on, in memory, and the figures it has there."""

    def __init__(
        self,
        settings: PretrainSettings,
        shards: ShardSet,
        device: torch.device,
        knn_source: Path | None = None,
        knn_layout: str = "",
        knn_stain: Normaliser | None = None,
    ) -> None:
        """Read the patches.

        Args:
            settings: of the run.
            shards: its patches, of which a sample is taken.
            device: where to compute.
            knn_source: the data set that `settings.health.knn` names.
            knn_layout: how it lies on the disk, see `histossl.patch_datasets.listing.read_patch_dataset`.
            knn_stain: how its colours are normalised.

        Raises:
            UserError: the labelled patches can't be used, or no patch can be read.
        """
        self.settings, self.device = settings, device
        self.patches = sample_patches(shards, settings)
        self.labelled: LabelledPictures | None = None
        if settings.health.knn is not None and knn_source is not None:
            split, limit = settings.health.knn.partition(":")[2], settings.health.knn_patches
            self.labelled = read_labelled_pictures(
                knn_source, split, limit, settings.seed, settings.input_px, knn_layout, knn_stain
            )

    def examine(self, encoder: nn.Module) -> dict[str, float]:
        """Spread and RankMe of the features, and KNN accuracy where there are labelled patches.

        Training does not notice: no random number is drawn and no statistic moves. NaN where features are not finite.
        """
        features = self.embed(encoder, self.patches)
        if not torch.isfinite(features).all():
            return {"eval_feature_std": math.nan}
        figures = {"eval_feature_std": float(feature_spread(features)), "rankme": rankme(features)}
        if self.labelled is not None:
            features = self.embed(encoder, self.labelled.pictures)
            figures |= knn_accuracy(features.numpy(), self.labelled.labels, self.labelled.groups)
        return figures

    @torch.no_grad()
    def embed(self, encoder: nn.Module, patches: torch.Tensor) -> torch.Tensor:
        """Features (N, D) float32, on the CPU, of (N, 3, px, px) uint8 patches."""
        mean, std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (self.settings.mean, self.settings.std)
        )
        # What torch.compile made is for the shapes of training.
        with evaluating(encoder), torch.compiler.set_stance("force_eager"):
            batches = [(some.to(self.device).float() / 255 - mean) / std for some in patches.split(BATCH)]
            return torch.cat([encoder(batch).float().cpu() for batch in batches])


def rankme(features: torch.Tensor) -> float:
    """RankMe of features (N, D): how many dimensions they fill, from 1 to min(N, D).

    The exponential of the entropy of the singular values, which are divided by their sum (Garrido et al. 2023,
    arXiv 2210.02885, equation 1, with its epsilon of 1e-7). It grows with N; compare values of the same N.
    """
    values = torch.linalg.svdvals(features.double())
    shares = values / values.sum().clamp_min(torch.finfo(torch.float64).tiny) + 1e-7
    return float(torch.special.entr(shares).sum().exp())


def sample_patches(shards: ShardSet, settings: PretrainSettings) -> torch.Tensor:
    """Patches drawn by the seed alone, (N, 3, px, px) uint8 at the encoder's input size; damaged ones are left out.

    Raises:
        UserError: none of them can be read.
    """
    random = np.random.default_rng([settings.seed, len(shards)])
    chosen = sorted(random.permutation(len(shards))[: settings.health.patches].tolist())
    geometry = Geometry(settings.input_px, settings.input_px)
    patches: list[np.ndarray] = []
    for index in chosen:
        try:
            picture = shards.read(index)
        except UserError:  # training names it where it meets it
            continue
        patches.append(geometry.apply(picture))
    if len(patches) < 2:
        raise UserError(
            f"{len(patches)} of {len(chosen)} patches of the shards can be read; delete the shards and rerun"
        )
    return torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, and at the end each of its modules back into the mode it was in."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
