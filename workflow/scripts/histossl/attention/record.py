"""Each head's map of the class token's attention to the patch tokens, in the last block of a vision transformer.

timm's own way to attention maps (`timm.utils.AttentionExtract`) wants networks that were built without fused attention.
Here the one layer whose attention is wanted works unfused for as long as it is watched, and what it gives to its
dropout is taken: its own softmax, with all that a kind of network does to queries and keys before it (norms, rotary and
relative positions). So this goes for the class attention of XCiT and CaiT too.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from histossl.encoders.encoder_file import EncoderCard
from histossl.encoders.pooling import Pooled

BATCH = 8
CLASS_TOKEN, MEAN = "of the class token", "of the patch tokens, their mean"
"""Whose attention a map shows."""


class NoAttention(Exception):
    """The network has no attention that could be laid over a patch; the message says why."""


@torch.inference_mode()
def record_maps(backbone: nn.Module, card: EncoderCard, pictures: np.ndarray) -> tuple[np.ndarray, str]:
    """The attention maps of pictures, on the CPU in float32.

    Args:
        backbone: the network, in evaluation mode.
        card: its card, for the preprocessing.
        pictures: (N, px, px, 3) uint8 RGB, of the size that the network takes.

    Returns:
        Maps (N, heads, side, side) float32, of each patch token the share of a head's attention, which goes to prefix
        tokens too: they sum to one or less. And whose attention it is, `CLASS_TOKEN` or `MEAN`.

    Raises:
        NoAttention: the network has no such attention.
    """
    network = backbone.network if isinstance(backbone, Pooled) else backbone
    layer = find_layer(network)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.mean, card.std))
    maps, whose = [], ""
    for start in range(0, len(pictures), BATCH):
        images = torch.from_numpy(pictures[start : start + BATCH]).permute(0, 3, 1, 2)
        with watched(layer) as seen:
            network((images / 255 - mean) / std)
        if len(seen) != 1 or seen[0].ndim != 4 or seen[0].shape[:2] != (len(images), layer.num_heads):
            raise NoAttention("its last attention is not that of each head over the whole patch")
        part, whose = lay_out(seen[0], network)
        if not part.isfinite().all():
            raise NoAttention("its attention is not finite")
        maps.append(part.float().numpy())
    return np.concatenate(maps), whose


def find_layer(network: nn.Module) -> nn.Module:
    """The last layer of multi-head attention.

    Raises:
        NoAttention: there is none.
    """
    kinds = ("num_heads", "fused_attn", "attn_drop")
    layers = [module for module in network.modules() if all(hasattr(module, kind) for kind in kinds)]
    if not layers:
        raise NoAttention("it has no layer of multi-head attention")
    return layers[-1]


@contextmanager
def watched(layer: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Yield a list to which the layer adds its attention, (B, heads, queries, keys), whenever it is run."""
    seen: list[torch.Tensor] = []
    fused = layer.fused_attn
    hook = layer.attn_drop.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    layer.fused_attn = False
    try:
        yield seen
    finally:
        layer.fused_attn = fused
        hook.remove()


def lay_out(attention: torch.Tensor, network: nn.Module) -> tuple[torch.Tensor, str]:
    """The maps (B, heads, side, side) in attention (B, heads, queries, keys), and whose they are.

    Raises:
        NoAttention: keys are not prefix tokens and a square of patch tokens, as where attention goes by windows.
    """
    class_attention = attention.shape[2] == 1  # XCiT, CaiT: the class token alone asks, before the patch tokens
    prefix = 1 if class_attention else getattr(network, "num_prefix_tokens", None)
    if prefix is None:
        raise NoAttention("its last attention is not over one row of class and patch tokens")
    whose = CLASS_TOKEN if class_attention or getattr(network, "cls_token", None) is not None else MEAN
    row = attention[:, :, 0] if whose == CLASS_TOKEN else attention[:, :, prefix:].mean(dim=2)
    maps = row[..., prefix:]
    side = math.isqrt(maps.shape[-1])
    if side < 2 or side**2 != maps.shape[-1]:
        raise NoAttention(f"its {maps.shape[-1]} patch tokens are no square")
    return maps.unflatten(-1, (side, side)), whose
