"""Figures of the health of a run, over the samples of all processes; all processes must ask for them."""

import torch
from lightly.utils.dist import gather
from torch import distributed

from histossl.ssl.method import feature_spread


@torch.no_grad()
def feature_std(features: torch.Tensor) -> torch.Tensor:
    """`feature_spread` of the features (B, D) of this process and the others."""
    features = features.detach()
    return feature_spread(torch.cat(gather(features)) if distributed.is_initialized() else features)


@torch.no_grad()
def teacher_entropies(logits: torch.Tensor, temperature: float) -> dict[str, torch.Tensor]:
    """How decided a teacher is, and how varied over the batch, in nats.

    Both entropies near ln K mean uniform output, equal ones below it mean the same output for all; what lies between
    them is what the output says of a sample. Over N samples they differ by ln N at most.

    Args:
        logits: (N, K), centred.
        temperature: of the softmax.

    Returns:
        `teacher_entropy`, the mean over samples, and `mean_teacher_entropy`, the entropy of the mean distribution.
    """
    shares = torch.softmax(logits.detach() / temperature, dim=1)
    entropy, mean = torch.special.entr(shares).sum(1).mean(), shares.mean(0)
    if distributed.is_initialized():
        both = torch.cat([mean, entropy.view(1)])
        distributed.all_reduce(both)
        both /= distributed.get_world_size()
        mean, entropy = both[:-1], both[-1]
    return {"teacher_entropy": entropy, "mean_teacher_entropy": torch.special.entr(mean).sum()}
