"""Networks by their timm name."""

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.resnet import ResNet
from torch import nn

from histossl.encoders.weight_file import Tensors, read_weight_file
from histossl.encoders.weight_layout import NotFoundError, find_network, load_weights
from histossl.errors import UserError

BLOCKS = ("layer1", "layer2", "layer3", "layer4")


def build_backbone(
    model: str,
    model_args: dict[str, Any],
    seed: int,
    pretrained: bool | str = False,
    training_args: dict[str, Any] | None = None,
    last_block: str | None = None,
) -> nn.Module:
    """Build a network that maps images to one feature vector each, without a classification head.

    Args:
        model: name as timm knows it, e.g. `vit_small_patch16_224` or `resnet50`.
        model_args: passed on to timm, e.g. `{"img_size": 64, "depth": 4}`.
        seed: of the random initial weights. The same seed gives the same start, so that the untrained control of an
            encoder is exactly the network its training began from.
        pretrained: True downloads timm's weights; a text is the path of a weight file, see `weight_layout`.
        training_args: more timm arguments that matter in training alone, e.g. `drop_path_rate`; they add no weights.
        last_block: where a ResNet is cut, e.g. `layer3`: what comes after is left out, but for the average pooling.

    Returns:
        A module: (B, 3, H, W) float -> (B, D) float.

    Raises:
        UserError: timm knows no such model, rejects an argument, it has no such block, or its weights cannot be had.
    """
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=5)
        hint = f"near it are {', '.join(near)}" if near else "timm.list_models() lists the names"
        raise UserError(f"encoder model {model!r} is not known to timm {timm.__version__}; {hint}")
    arguments = {**model_args, **(training_args or {})}
    if isinstance(pretrained, str):
        return _from_file(model, arguments, seed, pretrained, last_block)
    return _cut(_create(model, seed, arguments, {"pretrained": pretrained}), model, last_block)


def _create(model: str, seed: int, arguments: dict[str, Any], weights: dict[str, Any]) -> nn.Module:
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        return timm.create_model(model, num_classes=0, **weights, **arguments)
    except Exception as error:  # networks check their arguments, and files are damaged, in many ways
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if isinstance(error, TypeError) or not weights["pretrained"]:
            raise UserError(
                f"encoder model {model!r} cannot be built with the arguments {arguments} ({said}); "
                "correct `model_args:`"
            ) from error
        raise UserError(
            f"the weights of {model!r} could not be loaded ({said}); give a local file as `weights:`, "
            "or run once with network access"
        ) from error
    finally:
        torch.set_rng_state(state)


def _cut(network: nn.Module, model: str, last_block: str | None) -> nn.Module:
    """Take out the blocks of a ResNet after `last_block`."""
    if last_block is None:
        return network
    if not isinstance(network, ResNet) or last_block not in BLOCKS:
        raise UserError(
            f"encoder model {model!r} cannot be cut after {last_block!r}; only a ResNet can, after one of "
            f"{', '.join(BLOCKS)}: correct or delete `last_block:`"
        )
    for block in BLOCKS[BLOCKS.index(last_block) + 1 :]:
        setattr(network, block, nn.Identity())
    return network


def _from_file(model: str, arguments: dict[str, Any], seed: int, path: str, last_block: str | None) -> nn.Module:
    if not Path(path).is_file():
        raise UserError(f"{path!r}: no such file of weights for {model!r}; correct `weights:`")
    network = _cut(_create(model, seed, arguments, {"pretrained": False}), model, last_block)
    tensors = read_weight_file(Path(path))
    source = f"{path} as {model!r}"
    place = find_network(tensors, network)
    try:
        if place is None:
            raise NotFoundError(
                f"{source}: the file holds no network with this model's names of weights; name the model that it was "
                "made from"
            )
        load_weights(network, tensors, place, source)
    except NotFoundError as error:
        prefix = place.prefix if place else ""
        inner = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        network = _converted(model, arguments, seed, inner, error, last_block)
    return network


def _converted(
    model: str, arguments: dict[str, Any], seed: int, tensors: Tensors, error: UserError, last_block: str | None
) -> nn.Module:
    """Let timm translate names that are not its own, e.g. DINOv2's; raise `error` unless each weight is the file's."""

    def built(shift: int) -> nn.Module:
        shifted = {key: value + shift if value.is_floating_point() else value for key, value in tensors.items()}
        weights = {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": shifted}}
        try:
            return _cut(_create(model, seed, arguments, weights), model, last_block)
        except UserError:
            raise error from None

    network, other = built(0), built(1).state_dict()
    for name, value in network.state_dict().items():
        # Timm passes over weights that the file lacks: these do not follow when all that is in the file changes.
        if value.is_floating_point() and torch.equal(value, other[name]):
            raise error
    return network


def count_features(backbone: nn.Module, input_px: int) -> int:
    """Length of the feature vector that `backbone` gives for square images of `input_px`.

    Raises:
        UserError: the network takes no images of that size, or gives more than one vector an image.
    """
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, input_px, input_px))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the encoder takes no images of {input_px} x {input_px} px ({error}); correct `input_px:`"
        ) from error
    finally:
        backbone.train(was_training)
    if features.ndim != 2:
        raise UserError(f"the encoder gives features of the shape {tuple(features.shape[1:])}; set `global_pool:`")
    return int(features.shape[1])
