"""Optimizers and their schedules."""

import torch
from lightly.utils.lars import LARS
from lightly.utils.scheduler import cosine_schedule, cosine_warmup_schedule
from torch import nn

from histossl.errors import UserError
from histossl.ssl.method import Horizon
from histossl.ssl.settings import PretrainSettings


def build_optimizer(settings: PretrainSettings, method: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of all parameters that need a gradient.

    Biases and the parameters of normalisation layers have no weight decay and, with LARS, no layer-wise scaling.

    Raises:
        UserError: LARS is asked for without weight decay.
    """
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "decayed": True, "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "decayed": False, "weight_decay": 0.0},
    ]
    match settings.optimizer:
        case "adamw":
            # One pass over weights and moments; on a CPU torch's default takes several times as long.
            return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
        case "lars":
            if not (settings.weight_decay and settings.final_weight_decay):
                # lightly tells by the weight decay which parameters to scale.
                raise UserError(
                    f"optimizer lars with weight_decay {settings.weight_decay} and final_weight_decay "
                    f"{settings.final_weight_decay} would scale no layer; give both a value above 0, e.g. 1.0e-6"
                )
            return LARS(groups, lr=settings.learning_rate, momentum=0.9)
        case _:
            return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)


def set_schedules(optimizer: torch.optim.Optimizer, settings: PretrainSettings, horizon: Horizon, step: int) -> None:
    """Set learning rate (linear warm-up, then cosine) and weight decay (cosine) for `step`."""
    learning_rate = cosine_warmup_schedule(
        step,
        horizon.steps,
        settings.learning_rate,
        settings.final_learning_rate,
        horizon.steps_in(settings.warmup_epochs),
        0.0,
    )
    weight_decay = cosine_schedule(step, horizon.steps, settings.weight_decay, settings.final_weight_decay)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        group["weight_decay"] = weight_decay if group["decayed"] else 0.0


@torch.no_grad()
def clip_gradients(method: nn.Module, limit: float | None) -> None:
    """Clip the norm of each parameter's gradient by itself, as the original DINO does.

    DINOv2 clips the norm of all gradients of a network together.
    """
    gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    if limit is not None and gradients:
        norms = torch.stack(torch._foreach_norm(gradients))
        torch._foreach_mul_(gradients, list((limit / (norms + 1e-6)).clamp(max=1.0).unbind()))
