"""DINO: a student learns to predict what its own moving average sees in another view of the patch.

Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, arXiv 2104.14294.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from lightly.models.modules.heads import DINOProjectionHead
from lightly.utils.scheduler import cosine_schedule, linear_warmup_schedule
from torch import nn

from histossl.errors import UserError
from histossl.ssl.centering import StepDINOLoss
from histossl.ssl.figures import feature_std, teacher_entropies
from histossl.ssl.method import Horizon, Method, training_backbone
from histossl.ssl.moving_average import move_average
from histossl.ssl.precision import at_least_float32
from histossl.ssl.settings import PretrainSettings, fill
from histossl.ssl.share import Share


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

    settings_kind: type[DinoSettings] = DinoSettings

    def __init__(self, settings: PretrainSettings, horizon: Horizon, share: Share) -> None:
        """Build student and teacher, equal in weights.

        Raises:
            UserError: the settings don't fit the method.
        """
        super().__init__(settings, horizon, share)
        self.settings = own = fill(self.settings_kind, settings.method_settings, settings.method)
        view_px = [view.px for view in settings.augmentation.views for _ in range(view.count)]
        if len(view_px) < 2 or view_px[0] != view_px[1]:
            raise UserError(
                f"{settings.method} needs two global views of one size first, but the views' sizes are {view_px}"
            )
        if own.warmup_teacher_temperature > own.teacher_temperature:
            raise UserError(
                f"{settings.method}: the teacher's temperature rises, but warmup_teacher_temperature is "
                f"{own.warmup_teacher_temperature} and teacher_temperature {own.teacher_temperature}; lower the former"
            )
        self.student_backbone = self.make_backbone(settings, share, settings.training_args)
        self.teacher_backbone = self.make_backbone(settings, share)
        self.student_head, self.teacher_head = self.make_head(), self.make_head()
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        for teacher in (self.teacher_backbone, self.teacher_head):
            teacher.requires_grad_(False)
        self.loss = StepDINOLoss(own.output_dim, own.student_temperature, own.center_momentum)

    def make_backbone(
        self, settings: PretrainSettings, share: Share, training_args: dict[str, Any] | None = None
    ) -> nn.Module:
        """A network in the state in which training starts."""
        return training_backbone(settings, share, training_args)

    def make_head(self) -> DINOProjectionHead:
        """A projection head with random weights."""
        with warnings.catch_warnings():
            # lightly uses torch's older weight_norm, whose parameter names the original's checkpoints have too.
            warnings.simplefilter("ignore", FutureWarning)
            return DINOProjectionHead(
                self.encoder().num_features,
                self.settings.hidden_dim,
                self.settings.bottleneck_dim,
                self.settings.output_dim,
                batch_norm=self.settings.head_batch_norm,
                norm_last_layer=self.settings.norm_last_layer,
            )

    def averages(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each network of the teacher and the student's whose moving average it is."""
        return [(self.teacher_backbone, self.student_backbone), (self.teacher_head, self.student_head)]

    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy of the student's views against the teacher's global ones, over all pairs of unlike views."""
        batch = crops[0].shape[1]
        features = [self.student_backbone(crop.flatten(0, 1)) for crop in crops]
        student = self.student_head(torch.cat(features))
        with torch.no_grad():
            teacher = self.teacher_head(self.teacher_backbone(crops[0][:2].flatten(0, 1)))
        loss, figures = self.compare(teacher, student, batch, step)
        return loss, {**figures, "feature_std": feature_std(features[0][:batch])}

    def compare(
        self, teacher: torch.Tensor, student: torch.Tensor, batch: int, step: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of the heads' outputs (views x `batch`, K), and the teacher's entropies."""
        teacher, student = at_least_float32(teacher), at_least_float32(student)
        temperature = self.teacher_temperature(step)
        with torch.autocast(teacher.device.type, enabled=False):
            figures = teacher_entropies(teacher - self.loss.center[0], temperature)
            loss = self.loss(list(teacher.split(batch)), list(student.split(batch)), teacher_temp=temperature)
        return loss, figures

    def teacher_temperature(self, step: int) -> float:
        """Rises linearly from its warm-up value, then stays."""
        warmup = self.horizon.steps_in(self.settings.warmup_teacher_temperature_epochs)
        start, end = self.settings.warmup_teacher_temperature, self.settings.teacher_temperature
        return linear_warmup_schedule(step, warmup, start, end)

    def teacher_momentum(self, step: int) -> float:
        """Rises to 1 on a cosine."""
        return cosine_schedule(step, self.horizon.steps, self.settings.teacher_momentum, 1.0)

    def after_backward(self, step: int) -> None:
        """Keep the last layer still at first: it steadies the start."""
        self.hold_last_layer(self.student_head, step)

    def hold_last_layer(self, head: DINOProjectionHead, step: int) -> None:
        """Drop the gradient of the last layer of `head` in the first epochs."""
        if step < self.horizon.steps_in(self.settings.freeze_last_layer_epochs):
            for parameter in head.last_layer.parameters():
                parameter.grad = None

    def after_step(self, step: int) -> None:
        """Move the centre, and the teacher towards the student."""
        self.loss.move_center()
        for teacher, student in self.averages():
            move_average(teacher, student, self.teacher_momentum(step))

    def backbones(self) -> list[nn.Module]:
        """All networks but the heads."""
        return [self.student_backbone, self.teacher_backbone]

    def encoder(self) -> nn.Module:
        """The teacher is the better one of the two, and what the original releases."""
        return self.teacher_backbone
