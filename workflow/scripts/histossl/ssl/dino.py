"""DINO: a student learns to predict what its own moving average sees in another view of the patch.

Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, arXiv 2104.14294.
"""

import warnings
from dataclasses import dataclass

import torch
from lightly.loss import DINOLoss
from lightly.models.modules.heads import DINOProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from histossl.errors import UserError
from histossl.ssl.method import Horizon, Method, feature_spread, training_backbone
from histossl.ssl.settings import PretrainSettings, fill


@dataclass(frozen=True)
class DinoSettings:
    """The settings under `dino`."""

    output_dim: int
    """Number of prototypes, K."""
    hidden_dim: int
    bottleneck_dim: int
    head_batch_norm: bool
    """False in the original; True sets apart the features of small networks, which start out nearly alike."""
    norm_last_layer: bool
    student_temperature: float
    warmup_teacher_temperature: float
    teacher_temperature: float
    warmup_teacher_temperature_epochs: float
    center_momentum: float
    teacher_momentum: float
    """At the start; it rises to 1 on a cosine."""
    freeze_last_layer_epochs: float


class Dino(Method):
    """Student and teacher with a head each; the first two views, of one size, are global and go to both."""

    def __init__(self, settings: PretrainSettings, horizon: Horizon) -> None:
        """Build student and teacher, equal in weights.

        Raises:
            UserError: the settings don't fit the method.
        """
        super().__init__(settings, horizon)
        self.settings = fill(DinoSettings, settings.method_settings, "dino")
        view_px = [view.px for view in settings.augmentation.views for _ in range(view.count)]
        if len(view_px) < 2 or view_px[0] != view_px[1]:
            raise UserError(f"dino needs two global views of one size first, but the views' sizes are {view_px}")
        self.student_backbone = training_backbone(settings, settings.training_args)
        self.teacher_backbone = training_backbone(settings)
        feature_dim = self.student_backbone.num_features
        self.student_head, self.teacher_head = self.make_head(feature_dim), self.make_head(feature_dim)
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        for parameter in (*self.teacher_backbone.parameters(), *self.teacher_head.parameters()):
            parameter.requires_grad = False
        self.loss = DINOLoss(
            self.settings.output_dim,
            student_temp=self.settings.student_temperature,
            center_momentum=self.settings.center_momentum,
        )

    def make_head(self, feature_dim: int) -> DINOProjectionHead:
        """A projection head with random weights."""
        with warnings.catch_warnings():
            # lightly uses torch's older weight_norm, whose parameter names the original's checkpoints have too.
            warnings.simplefilter("ignore", FutureWarning)
            return DINOProjectionHead(
                feature_dim,
                self.settings.hidden_dim,
                self.settings.bottleneck_dim,
                self.settings.output_dim,
                batch_norm=self.settings.head_batch_norm,
                norm_last_layer=self.settings.norm_last_layer,
            )

    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy of the student's views against the teacher's global ones, over all pairs of unlike views."""
        batch = crops[0].shape[1]
        features = [self.student_backbone(crop.flatten(0, 1)) for crop in crops]
        student = self.student_head(torch.cat(features)).float().split(batch)
        with torch.no_grad():
            teacher = self.teacher_head(self.teacher_backbone(crops[0][:2].flatten(0, 1))).float().split(batch)
        temperature = self.teacher_temperature(step)
        with torch.autocast(crops[0].device.type, enabled=False):
            shares = torch.softmax((torch.cat(teacher) - self.loss.center[0]) / temperature, dim=1)
            loss = self.loss(list(teacher), list(student), teacher_temp=temperature)
        entropy = torch.special.entr(shares).sum(1).mean()
        return loss, {"teacher_entropy": entropy, "feature_std": feature_spread(features[0][:batch])}

    def teacher_temperature(self, step: int) -> float:
        """Rises linearly from its warm-up value, then stays."""
        warmup = self.horizon.steps_in(self.settings.warmup_teacher_temperature_epochs)
        start, end = self.settings.warmup_teacher_temperature, self.settings.teacher_temperature
        return end if step >= warmup else start + (end - start) * step / warmup

    def teacher_momentum(self, step: int) -> float:
        """Rises to 1 on a cosine."""
        return cosine_schedule(step, self.horizon.steps, self.settings.teacher_momentum, 1.0)

    def after_backward(self, step: int) -> None:
        """Keep the last layer still at first: it steadies the start."""
        if step < self.horizon.steps_in(self.settings.freeze_last_layer_epochs):
            for parameter in self.student_head.last_layer.parameters():
                parameter.grad = None

    def after_step(self, step: int) -> None:
        """Move the teacher towards the student."""
        momentum = self.teacher_momentum(step)
        with torch.no_grad():
            update_momentum(self.student_backbone, self.teacher_backbone, momentum)
            update_momentum(self.student_head, self.teacher_head, momentum)

    def encoder(self) -> nn.Module:
        """The teacher is the better one of the two, and what the original releases."""
        return self.teacher_backbone
