"""Networks with published weights: timm's own, or those of a file, here or on the Hugging Face hub."""

from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from histossl.encoders.backbone import create_network, cut_network
from histossl.encoders.hub import fetch_weights
from histossl.encoders.hub_location import on_hub
from histossl.encoders.pooling import pool_tokens
from histossl.encoders.transformers_names import translate_names
from histossl.encoders.weight_file import Tensors, read_weight_file
from histossl.encoders.weight_layout import NotFoundError, find_network, load_weights
from histossl.errors import UserError


def load_backbone(
    model: str,
    model_args: dict[str, Any],
    seed: int,
    weights: bool | str,
    last_block: str | None = None,
    pooling: str = "",
    strict: bool = True,
) -> tuple[nn.Module, list[str]]:
    """Build a network as `build_backbone` does, and give it weights.

    Args:
        model: see `histossl.encoders.backbone.build_backbone`, as `model_args`, `seed`, `last_block` and `pooling`.
        model_args: arguments to timm.
        seed: of weights that stay random.
        weights: True takes timm's, False none; a text is the path of a weight file (see `weight_layout`), or
            `hf-hub:owner/name` or `hf-hub:owner/name/file`.
        last_block: where a ResNet is cut.
        pooling: how tokens become one vector.
        strict: whether each weight must be in the file, and each of the file's trunk in the network.

    Returns:
        The network, and the names of the weights that do not match, which are none where `strict`.

    Raises:
        UserError: the network cannot be built, or the weights cannot be had or do not fit.
        JobError: the weights are on the hub, and there is no network.
    """
    unmatched: list[str] = []
    if isinstance(weights, str):
        path = fetch_weights(weights) if on_hub(weights) else Path(weights)
        if not path.is_file():
            raise UserError(f"{weights!r}: no such file of weights for {model!r}; correct `weights:`")
        network, unmatched = _from_file(model, model_args, seed, path, last_block, strict)
    else:
        timms = _timms_weights(model) if weights else {}
        network = cut_network(create_network(model, model_args, seed, **timms), model, last_block)
    return pool_tokens(network, model, pooling), unmatched


def _timms_weights(model: str) -> dict[str, Any]:
    """The arguments that load timm's own weights; these are fetched here, so that what goes wrong is told rightly."""
    published = timm.get_pretrained_cfg(model) if timm.is_model(model) else None
    if published is None or not published.hf_hub_id or published.custom_load == "hf":
        return {"pretrained": True}
    name = f"hf-hub:{published.hf_hub_id}" + (f"/{published.hf_hub_filename}" if published.hf_hub_filename else "")
    # Older versions of timm take a named file for the authors' original, which may be of a format of its own.
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(fetch_weights(name)), "custom_load": False}}


def _from_file(
    model: str, arguments: dict[str, Any], seed: int, path: Path, last_block: str | None, strict: bool
) -> tuple[nn.Module, list[str]]:
    network = cut_network(create_network(model, arguments, seed), model, last_block)
    tensors = translate_names(read_weight_file(path))
    source = f"{path} as {model!r}"
    place = find_network(tensors, network)
    if place is None:
        error: UserError = NotFoundError(
            f"{source}: the file holds no network with this model's names of weights; name the model that it was made "
            "from"
        )
    else:
        try:
            load_weights(network, tensors, place, source)
            return network, []
        except UserError as refused:
            error = refused
    if isinstance(error, NotFoundError):
        prefix = place.prefix if place else ""
        inner = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if (converted := _converted(model, arguments, seed, inner, last_block)) is not None:
            return converted, []
    if strict or place is None:
        raise error
    return network, load_weights(network, tensors, place, source, strict=False)


def _converted(
    model: str, arguments: dict[str, Any], seed: int, tensors: Tensors, last_block: str | None
) -> nn.Module | None:
    """Let timm translate names that are not its own, e.g. DINOv2's; None unless each weight is the file's."""

    def built(shift: int) -> nn.Module:
        shifted = {key: value + shift if value.is_floating_point() else value for key, value in tensors.items()}
        timms = {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": shifted}}
        return cut_network(create_network(model, arguments, seed, **timms), model, last_block)

    try:
        network, other = built(0), built(1).state_dict()
    except UserError:
        return None
    for name, value in network.state_dict().items():
        # Timm passes over weights that the file lacks: these do not follow when all that is in the file changes.
        if value.is_floating_point() and torch.equal(value, other[name]):
            return None
    return network
