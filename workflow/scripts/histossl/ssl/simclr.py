"""SimCLR: two views of a patch are told apart from the views of all other patches of the batch.

Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, arXiv 2002.05709.
"""

from dataclasses import dataclass

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import nn

from histossl.ssl.figures import feature_std
from histossl.ssl.method import Horizon, Method, check_two_views, training_backbone
from histossl.ssl.precision import at_least_float32
from histossl.ssl.settings import PretrainSettings, fill
from histossl.ssl.share import Share


@dataclass(frozen=True)
class SimclrSettings:
    """The settings under `simclr`."""

    temperature: float
    hidden_dim: int
    output_dim: int
    head_layers: int
    """2 in the paper, 3 in the authors' later code."""


class Simclr(Method):
    """One network with a projection head; negatives are the views of the global batch, over all processes."""

    def __init__(self, settings: PretrainSettings, horizon: Horizon, share: Share) -> None:
        """Build the network and its head.

        Raises:
            UserError: the settings don't fit the method.
        """
        super().__init__(settings, horizon, share)
        own = fill(SimclrSettings, settings.method_settings, "simclr")
        check_two_views(settings)
        self.backbone = training_backbone(settings, share, settings.training_args)
        self.head = SimCLRProjectionHead(self.backbone.num_features, own.hidden_dim, own.output_dim, own.head_layers)
        self.loss = NTXentLoss(own.temperature, gather_distributed=torch.distributed.is_initialized())

    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The NT-Xent loss of the two views."""
        (views,) = crops
        features = self.backbone(views.flatten(0, 1))
        first, second = at_least_float32(self.head(features)).chunk(2)
        with torch.autocast(views.device.type, enabled=False):
            loss = self.loss(first, second)
        return loss, {"feature_std": feature_std(features[: views.shape[1]]), "output_std": feature_std(first)}

    def backbones(self) -> list[nn.Module]:
        """All networks but the heads."""
        return [self.backbone]

    def encoder(self) -> nn.Module:
        """The network without its head."""
        return self.backbone
