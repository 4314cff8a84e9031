"""What a pretraining method is to the training loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from histossl.encoders.backbone import build_backbone
from histossl.errors import UserError
from histossl.ssl.settings import PretrainSettings
from histossl.ssl.share import Share, share_drop_path


@dataclass(frozen=True)
class Horizon:
    """Length of a run, for schedules."""

    steps: int
    steps_per_epoch: int

    def steps_in(self, epochs: float) -> int:
        """`epochs` in steps, never beyond the end of the run."""
        return min(round(epochs * self.steps_per_epoch), self.steps)


class Method(nn.Module, ABC):
    """A method holds all its networks and buffers as submodules: its state_dict is all there is to resume from.

    `Method(settings, horizon, share)` builds it; the loop wraps it for several processes, calls it, and hands
    parameters that need a gradient to the optimizer. A step's batch comes in `settings.accumulate` parts, each in a
    forward of its own; what moves once a step (a centre, an average) moves in `after_step`.
    """

    def __init__(self, settings: PretrainSettings, horizon: Horizon, share: Share) -> None:
        super().__init__()
        self.horizon, self.share = horizon, share

    @abstractmethod
    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss of a part of a batch.

        Args:
            crops: for each side length (V, B, 3, px, px), normalised; B are the samples of `share`.
            step: counts from 0.

        Returns:
            The loss, a scalar, and figures of the run's health, detached scalars.
        """

    def after_backward(self, step: int) -> None:
        """Change gradients before the optimizer's step."""

    def after_step(self, step: int) -> None:
        """Follow the optimizer's step, e.g. with a moving average."""

    @abstractmethod
    def backbones(self) -> list[nn.Module]:
        """The networks in which the time goes: what is worth compiling."""

    @abstractmethod
    def encoder(self) -> nn.Module:
        """The network whose weights are the run's result."""


def training_backbone(
    settings: PretrainSettings, share: Share, training_args: dict[str, Any] | None = None
) -> nn.Module:
    """The network in the state in which training starts: the very weights of the untrained control.

    A vision transformer is made to take crops of any size; that adds no weights.

    Raises:
        UserError: the network can't be built, or doesn't take pictures of the views' size.
    """
    training_args = dict(training_args or {})
    plain = build_backbone(settings.model, settings.model_args, settings.seed, training_args=training_args)
    if getattr(plain, "dynamic_img_size", None) is False:
        training_args["dynamic_img_size"] = True
    backbone = build_backbone(settings.model, settings.model_args, settings.seed, training_args=training_args)
    for px in {view.px for view in settings.augmentation.views}:
        check_takes(backbone, settings.model, px)
    share_drop_path(backbone, share)
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in backbone.modules()):
        raise UserError(
            f"encoder model {settings.model!r} has dropout, whose random numbers would depend on the number of GPUs; "
            "set its rates (drop_rate, proj_drop_rate...) to 0 and use drop_path_rate in `training_args`"
        )
    return backbone


def check_two_views(settings: PretrainSettings) -> None:
    """Raise a UserError unless there are exactly two views, of one size."""
    view_px = [view.px for view in settings.augmentation.views for _ in range(view.count)]
    if len(view_px) != 2 or view_px[0] != view_px[1]:
        raise UserError(f"{settings.method} needs exactly two views of one size, but the views' sizes are {view_px}")


def check_takes(backbone: nn.Module, model: str, px: int) -> None:
    """Raise a UserError if `backbone` doesn't take pictures of `px`."""
    try:
        with torch.no_grad():
            backbone.eval()(torch.zeros(1, 3, px, px))
    except (AssertionError, RuntimeError) as error:
        raise UserError(
            f"encoder model {model!r} does not take pictures of {px} px ({str(error).splitlines()[0]}); "
            "change the views' px, or img_size or patch_size in `model_args`"
        ) from error
    finally:
        backbone.train()


def feature_spread(features: torch.Tensor) -> torch.Tensor:
    """Standard deviation of L2-normalised features (B, D) over the batch, times sqrt(D).

    Near 1 for features that point everywhere, 0 for a collapsed network (the figure of SimSiam: Chen & He 2021).
    """
    unit = nn.functional.normalize(features.detach().float(), dim=1)
    return unit.std(0).mean() * features.shape[1] ** 0.5
