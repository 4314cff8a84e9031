"""Steps of DINO as peers do them, on crops that are on the device already: the original's recipe, and lightly's.

Written anew after arXiv 2104.14294 and the documentation of lightly 1.6, with the modules of timm and lightly where
these peers' own parts are the same. Each function builds student, teacher, heads and optimizer, and returns what does
one step on the crops it is given (a list of (B, 3, px, px), the two global ones first).
"""

import warnings
from collections.abc import Callable

import timm
import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn

Step = Callable[[list[torch.Tensor]], None]
OUTPUT_DIM = 65536


def build_networks(model: str, device: torch.device, fused_attention: bool) -> tuple[nn.Module, ...]:
    """Student and teacher with their heads: (student, student_head, teacher, teacher_head)."""
    student = timm.create_model(model, num_classes=0, dynamic_img_size=True, drop_path_rate=0.1)
    teacher = timm.create_model(model, num_classes=0, dynamic_img_size=True)
    for network in (student, teacher):
        for block in network.blocks:
            block.attn.fused_attn = fused_attention
    teacher.load_state_dict(student.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        student_head, teacher_head = (
            DINOProjectionHead(student.num_features, 2048, 256, OUTPUT_DIM, freeze_last_layer=1) for _ in range(2)
        )
    teacher_head.load_state_dict(student_head.state_dict())
    for frozen in (teacher, teacher_head):
        deactivate_requires_grad(frozen)
    return tuple(network.to(device).train() for network in (student, student_head, teacher, teacher_head))


def decayed_groups(*networks: nn.Module) -> list[dict]:
    """All weights decayed but biases and those of norms."""
    trained = [p for network in networks for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.04},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def original_step(model: str, device: torch.device, autocast: Callable, scaler: torch.amp.GradScaler) -> Step:
    """As main_dino.py does it: views grouped by size, loss pair by pair, clipping and averaging weight by weight.

    Attention is softmax(Q K) V in steps, as its own vision transformer has it.
    """
    student, student_head, teacher, teacher_head = build_networks(model, device, fused_attention=False)
    optimizer = torch.optim.AdamW(decayed_groups(student, student_head), lr=1e-4)
    center = torch.zeros(1, OUTPUT_DIM, device=device)

    def step(crops: list[torch.Tensor]) -> None:
        nonlocal center
        batch = len(crops[0])
        with autocast():
            with torch.no_grad():
                taught = teacher_head(teacher(torch.cat(crops[:2])))
            by_size: dict[int, list[torch.Tensor]] = {}
            for crop in crops:
                by_size.setdefault(crop.shape[-1], []).append(crop)
            features = torch.cat([student(torch.cat(group)) for group in by_size.values()])
            learnt = (student_head(features).float() / 0.1).chunk(len(crops))
            targets = torch.softmax((taught.float() - center) / 0.04, dim=-1).detach().chunk(2)
            terms = []
            for i, target in enumerate(targets):
                for j, guess in enumerate(learnt):
                    if i != j:
                        terms.append((-target * torch.log_softmax(guess, dim=-1)).sum(-1).mean())
            loss = sum(terms) / len(terms)
            with torch.no_grad():
                center = center * 0.9 + taught.float().sum(0, keepdim=True) / (2 * batch) * 0.1
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        for network in (student, student_head):
            for parameter in network.parameters():
                if parameter.grad is not None:
                    factor = 3.0 / (parameter.grad.norm(2) + 1e-6)
                    if factor < 1:
                        parameter.grad.mul_(factor)
        scaler.step(optimizer)
        scaler.update()
        with torch.no_grad():
            pairs = ((student, teacher), (student_head, teacher_head))
            for learner, average in pairs:
                for new, kept in zip(learner.parameters(), average.parameters(), strict=True):
                    kept.mul_(0.996).add_(new.detach(), alpha=0.004)

    return step


def lightly_step(model: str, device: torch.device, autocast: Callable, scaler: torch.amp.GradScaler) -> Step:
    """As lightly's documentation does it: each view through the network by itself."""
    student, student_head, teacher, teacher_head = build_networks(model, device, fused_attention=True)
    criterion = DINOLoss(output_dim=OUTPUT_DIM, warmup_teacher_temp_epochs=5).to(device)
    optimizer = torch.optim.AdamW(decayed_groups(student, student_head), lr=1e-4)

    def step(crops: list[torch.Tensor]) -> None:
        update_momentum(student, teacher, m=0.996)
        update_momentum(student_head, teacher_head, m=0.996)
        with autocast():
            with torch.no_grad():
                taught = [teacher_head(teacher(crop)) for crop in crops[:2]]
            learnt = [student_head(student(crop)) for crop in crops]
            loss = criterion(taught, learnt, epoch=1)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        student_head.cancel_last_layer_gradients(current_epoch=1)
        scaler.step(optimizer)
        scaler.update()

    return step
