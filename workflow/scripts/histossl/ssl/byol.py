"""BYOL: an online network learns to predict what its own moving average makes of the other view of the patch.

Grill et al. 2020, Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, arXiv 2006.07733.
"""

from dataclasses import dataclass

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from histossl.ssl.figures import feature_std
from histossl.ssl.method import Horizon, Method, check_two_views, training_backbone
from histossl.ssl.moving_average import move_average
from histossl.ssl.precision import at_least_float32
from histossl.ssl.settings import PretrainSettings, fill
from histossl.ssl.share import Share


@dataclass(frozen=True)
class ByolSettings:
    """The settings under `byol`."""

    hidden_dim: int
    output_dim: int
    target_momentum: float
    """At the start; it rises to 1 on a cosine."""


class Byol(Method):
    """Online network and target, each with a projection head; the online one also has a prediction head."""

    def __init__(self, settings: PretrainSettings, horizon: Horizon, share: Share) -> None:
        """Build online network and target, equal in weights.

        Raises:
            UserError: the settings don't fit the method.
        """
        super().__init__(settings, horizon, share)
        self.settings = own = fill(ByolSettings, settings.method_settings, "byol")
        check_two_views(settings)
        self.online_backbone = training_backbone(settings, share, settings.training_args)
        self.target_backbone = training_backbone(settings, share)
        feature_dim = self.online_backbone.num_features
        self.online_projection = BYOLProjectionHead(feature_dim, own.hidden_dim, own.output_dim)
        self.target_projection = BYOLProjectionHead(feature_dim, own.hidden_dim, own.output_dim)
        self.target_projection.load_state_dict(self.online_projection.state_dict())
        self.prediction = BYOLPredictionHead(own.output_dim, own.hidden_dim, own.output_dim)
        for target, _ in self.averages():
            target.requires_grad_(False)
        self.similarity = NegativeCosineSimilarity()

    def averages(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each network of the target and the online one whose moving average it is."""
        return [(self.target_backbone, self.online_backbone), (self.target_projection, self.online_projection)]

    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Squared distance of unit vectors, 2 - 2 cos, of each view's prediction to the other's target; their sum."""
        (views,) = crops
        # A view at a time, as in the original: its two kinds of view differ, and so do their batch statistics.
        features = [self.online_backbone(view) for view in views]
        predictions = [at_least_float32(self.prediction(self.online_projection(feature))) for feature in features]
        with torch.no_grad():
            targets = [at_least_float32(self.target_projection(self.target_backbone(view))) for view in views]
        with torch.autocast(views.device.type, enabled=False):
            pairs = zip(predictions, reversed(targets), strict=True)
            loss = sum(2 + 2 * self.similarity(prediction, target) for prediction, target in pairs)
        return loss, {"feature_std": feature_std(features[0]), "output_std": feature_std(targets[0])}

    def target_momentum(self, step: int) -> float:
        """Rises to 1 on a cosine."""
        return cosine_schedule(step, self.horizon.steps, self.settings.target_momentum, 1.0)

    def after_step(self, step: int) -> None:
        """Move the target towards the online network."""
        for target, online in self.averages():
            move_average(target, online, self.target_momentum(step))

    def backbones(self) -> list[nn.Module]:
        """All networks but the heads."""
        return [self.online_backbone, self.target_backbone]

    def encoder(self) -> nn.Module:
        """The online network, as in the paper."""
        return self.online_backbone
