"""Maps are compared with softmax(q k / sqrt(d)) in float64, from the input and the weights of the last layer."""

import numpy as np
import pytest
import timm
import torch
from timm.layers import apply_rot_embed_cat

from histossl.attention.record import CLASS_TOKEN, MEAN, NoAttention, find_layer, record_maps
from histossl.encoders.encoder_file import EncoderCard
from histossl.encoders.pooling import pool_tokens

PX = 64
CARD = EncoderCard("any", {}, (0.7, 0.5, 0.6), (0.2, 0.25, 0.3), PX, (1.0,), 64, "untrained", {}, "")
SMALL = {"img_size": PX, "depth": 2, "embed_dim": 48, "num_heads": 3}
NETWORKS = {
    "plain": ("vit_tiny_patch16_224", SMALL),
    "dynamic": ("vit_tiny_patch16_224", {**SMALL, "img_size": 224, "dynamic_img_size": True}),
    "registers": ("vit_small_patch14_reg4_dinov2", {**SMALL, "patch_size": 16}),
    "qk_norm": ("vit_tiny_patch16_224", {**SMALL, "qk_norm": True}),
    "rotary": ("vit_small_patch16_dinov3", {**SMALL, "embed_dim": 96}),
    "no class token": ("vit_tiny_patch16_224", {**SMALL, "class_token": False, "global_pool": "avg"}),
    "registers alone": (
        "vit_tiny_patch16_224",
        {**SMALL, "class_token": False, "reg_tokens": 4, "global_pool": "avg"},
    ),
    "xcit": (
        "xcit_nano_12_p8_224",
        {"img_size": PX, "depth": 1, "embed_dim": 48, "num_heads": 3, "cls_attn_layers": 2},
    ),
    "cait": ("cait_xxs24_224", {**SMALL}),
}
PREFIX = {"registers": 5, "rotary": 5, "no class token": 0, "registers alone": 4}


def build(kind):
    model, arguments = NETWORKS[kind]
    torch.manual_seed(2)
    network = timm.create_model(model, num_classes=0, **arguments).eval()
    for name, weights in network.named_parameters():  # initial weights are so small that all attention is even
        if any(part in name for part in ("qkv.weight", "q.weight", "k.weight", "q_norm", "k_norm")):
            torch.nn.init.normal_(weights, std=0.5)
    return network


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (18, PX, PX, 3), dtype=np.uint8)  # more than a batch


def reference(network, pictures, prefix):
    """The attention (N, heads, queries, keys), softmax(q k / sqrt(d)) in float64."""
    layer, seen = find_layer(network), {}
    hook = layer.register_forward_pre_hook(lambda _, given, named: seen.update(x=given[0], **named), with_kwargs=True)
    mean, std = (np.array(values) for values in (CARD.mean, CARD.std))
    with torch.no_grad():
        network(torch.tensor((pictures / 255 - mean) / std, dtype=torch.float32).permute(0, 3, 1, 2))
    hook.remove()
    tokens, layer = seen["x"].double(), layer.double()
    heads, width = layer.num_heads, tokens.shape[-1] // layer.num_heads

    def split(values):
        return values.unflatten(-1, (heads, width)).transpose(1, 2)

    with torch.no_grad():
        if hasattr(layer, "q"):  # class attention: XCiT, CaiT
            query, key = split(layer.q(tokens[:, :1])), split(layer.k(tokens))
        elif hasattr(layer, "qkv") and getattr(layer, "q_bias", None) is not None:  # EVA
            bias = torch.cat([layer.q_bias, layer.k_bias, layer.v_bias]).double()
            query, key, _ = map(split, torch.nn.functional.linear(tokens, layer.qkv.weight, bias).chunk(3, dim=-1))
        else:
            query, key, _ = map(split, layer.qkv(tokens).chunk(3, dim=-1))
        query, key = (getattr(layer, f"{name}_norm", torch.nn.Identity())(x) for name, x in (("q", query), ("k", key)))
        if seen.get("rope") is not None:
            rope, half = seen["rope"].double(), getattr(layer, "rotate_half", False)
            query, key = (
                torch.cat([x[:, :, :prefix], apply_rot_embed_cat(x[:, :, prefix:], rope, half=half)], dim=2)
                for x in (query, key)
            )
        return (query @ key.transpose(-2, -1) / width**0.5).softmax(dim=-1).numpy()


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("fused", [True, False])
def test_maps_are_the_softmax_of_the_last_layer_on_the_patch_tokens(kind, fused, pictures):
    network, prefix = build(kind), PREFIX.get(kind, 1)
    layer = find_layer(network)
    layer.fused_attn = fused
    maps, whose = record_maps(network, CARD, pictures)
    assert layer.fused_attn is fused
    assert not layer.attn_drop._forward_pre_hooks
    attention = reference(network, pictures, prefix)
    without_class = kind in ("no class token", "registers alone")
    assert whose == (MEAN if without_class else CLASS_TOKEN)
    row = attention[:, :, prefix:].mean(axis=2) if without_class else attention[:, :, 0]
    side = 8 if kind == "xcit" else 4
    assert maps.shape == (len(pictures), 3, side, side)
    np.testing.assert_allclose(maps.reshape(*row.shape[:2], -1), row[..., prefix:], rtol=2e-4, atol=1e-6)
    uneven = np.ptp(maps, axis=(2, 3)) / maps.mean(axis=(2, 3))
    assert uneven.min() > 0.01  # so that nothing agrees because all is even
    assert maps.sum(axis=(2, 3)).max() < 1 + 1e-5


@pytest.mark.parametrize("kind", ["plain", "xcit"])
def test_what_a_network_gives_is_the_same_while_it_is_watched_and_after(kind, pictures):
    network = build(kind)
    images = torch.from_numpy(pictures[:2]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        before = network(images)
        record_maps(network, CARD, pictures[:2])
        assert torch.equal(network(images), before)


def test_another_pooling_has_the_same_maps(pictures):
    network = build("plain")
    maps, _ = record_maps(network, CARD, pictures)
    again, _ = record_maps(pool_tokens(network, "vit_tiny_patch16_224", "cls_mean"), CARD, pictures)
    np.testing.assert_array_equal(maps, again)


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("test_resnet", {}),
        ("swin_tiny_patch4_window7_224", {"img_size": PX, "window_size": 4, "depths": (1, 1), "num_heads": (1, 1)}),
        ("xcit_nano_12_p8_224", {"img_size": PX, "depth": 1, "embed_dim": 48, "num_heads": 3, "cls_attn_layers": 0}),
        ("test_efficientnet", {}),
    ],
)
def test_a_network_without_such_attention_is_told(model, arguments, pictures):
    network = timm.create_model(model, num_classes=0, **arguments).eval()
    with pytest.raises(NoAttention):
        record_maps(network, CARD, pictures[:2])
