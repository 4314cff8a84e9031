"""SimCLR: two views of a patch are told apart from the views of all other patches of the batch.

Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, arXiv 2002.05709.
"""

from dataclasses import dataclass

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import nn

from histossl.errors import UserError
from histossl.ssl.method import Horizon, Method, feature_spread, training_backbone
from histossl.ssl.settings import PretrainSettings, fill


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

    def __init__(self, settings: PretrainSettings, horizon: Horizon) -> None:
        """Build the network and its head.

        Raises:
            UserError: the settings don't fit the method.
        """
        super().__init__(settings, horizon)
        own = fill(SimclrSettings, settings.method_settings, "simclr")
        view_px = [view.px for view in settings.augmentation.views for _ in range(view.count)]
        if len(view_px) != 2 or view_px[0] != view_px[1]:
            raise UserError(f"simclr needs exactly two views of one size, but the views' sizes are {view_px}")
        self.backbone = training_backbone(settings, settings.training_args)
        self.head = SimCLRProjectionHead(self.backbone.num_features, own.hidden_dim, own.output_dim, own.head_layers)
        self.loss = NTXentLoss(own.temperature, gather_distributed=torch.distributed.is_initialized())

    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The NT-Xent loss of the two views."""
        (views,) = crops
        features = self.backbone(views.flatten(0, 1))
        first, second = self.head(features).float().chunk(2)
        with torch.autocast(views.device.type, enabled=False):
            loss = self.loss(first, second)
        return loss, {"feature_std": feature_spread(features[: views.shape[1]])}

    def encoder(self) -> nn.Module:
        """The network without its head."""
        return self.backbone
