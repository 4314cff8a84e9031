"""Weights in the naming of Hugging Face `transformers`, brought into timm's.

Its files of `ViTModel`, `Dinov2Model` and `Dinov2WithRegistersModel` hold networks that timm has too, under other
names, and with queries, keys and values apart. Compared with transformers 5.23: the same features.
"""

import re

import torch

from histossl.encoders.weight_file import Tensors

MARK = "embeddings.patch_embeddings.projection.weight"
PARTS = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.register_tokens", "reg_token"),
    (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"layernorm", "norm"),
    (r"encoder\.layer\.(\d+)\.(?:layernorm_before|norm1)", r"blocks.\1.norm1"),
    (r"encoder\.layer\.(\d+)\.(?:layernorm_after|norm2)", r"blocks.\1.norm2"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense", r"blocks.\1.attn.proj"),
    (r"encoder\.layer\.(\d+)\.(?:intermediate\.dense|mlp\.fc1|mlp\.weights_in)", r"blocks.\1.mlp.fc1"),
    (r"encoder\.layer\.(\d+)\.(?:output\.dense|mlp\.fc2|mlp\.weights_out)", r"blocks.\1.mlp.fc2"),
    (r"encoder\.layer\.(\d+)\.layer_scale(\d)\.lambda1", r"blocks.\1.ls\2.gamma"),
)
QUERY = re.compile(r"encoder\.layer\.(\d+)\.attention\.attention\.query\.(weight|bias)")
LEFT_OUT = re.compile(r"embeddings\.mask_token|pooler\..*|.*\.attention\.attention\.(key|value)\.(weight|bias)")
"""What has no part in the features, or goes with the query."""


def translate_names(tensors: Tensors) -> Tensors:
    """The tensors of a file with timm's names, where they are named as `transformers` does; else as they are.

    A name that has no translation stays, so that it is found left over.
    """
    mark = next((key for key in tensors if key == MARK or key.endswith(f".{MARK}")), None)
    if mark is None:
        return tensors
    prefix = mark.removesuffix(MARK)
    translated: Tensors = {}
    for key, value in tensors.items():
        name = key.removeprefix(prefix)
        if not key.startswith(prefix):
            translated[key] = value
        elif query := QUERY.fullmatch(name):
            thirds = [
                tensors.get(prefix + name.replace(".query.", f".{third}.")) for third in ("query", "key", "value")
            ]
            if all(third is not None for third in thirds):
                translated[f"blocks.{query[1]}.attn.qkv.{query[2]}"] = torch.cat(thirds)
        elif not LEFT_OUT.fullmatch(name):
            translated[_rename(name)] = value
    if "reg_token" in translated and "pos_embed" in translated:
        # There the class token has a place of its own, which timm adds to the token where there are registers.
        positions = translated["pos_embed"]
        translated["cls_token"] = translated["cls_token"] + positions[:, :1]
        translated["pos_embed"] = positions[:, 1:]
    return translated


def _rename(name: str) -> str:
    for pattern, timms in PARTS:
        if match := re.fullmatch(rf"{pattern}(|\.weight|\.bias)", name):
            return match.expand(timms) + match[match.lastindex or 0]
    return name
