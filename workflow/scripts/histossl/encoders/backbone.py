"""Networks by their timm name."""

import difflib
from typing import Any

import timm
import timm.layers
import torch
from timm.models.resnet import ResNet
from torch import nn

from histossl.encoders.pooling import pool_tokens
from histossl.errors import UserError

BLOCKS = ("layer1", "layer2", "layer3", "layer4")


def build_backbone(
    model: str,
    model_args: dict[str, Any],
    seed: int,
    training_args: dict[str, Any] | None = None,
    last_block: str | None = None,
    pooling: str = "",
) -> nn.Module:
    """Build a network with random weights that maps images to one feature vector each, without a classification head.

    Args:
        model: name as timm knows it, e.g. `vit_small_patch16_224` or `resnet50`.
        model_args: passed on to timm, e.g. `{"img_size": 64, "depth": 4}`; `mlp_layer` is the name of a layer of timm.
        seed: of the random initial weights. The same seed gives the same start, so that the untrained control of an
            encoder is exactly the network its training began from.
        training_args: more timm arguments that matter in training alone, e.g. `drop_path_rate`; they add no weights.
        last_block: where a ResNet is cut, e.g. `layer3`: what comes after is left out, but for the average pooling.
        pooling: how tokens become one vector; see `histossl.encoders.pooling`.

    Returns:
        A module: (B, 3, H, W) float -> (B, D) float.

    Raises:
        UserError: timm knows no such model, rejects an argument, or it has no such block or tokens.
    """
    network = create_network(model, {**model_args, **(training_args or {})}, seed)
    return pool_tokens(cut_network(network, model, last_block), model, pooling)


def create_network(model: str, arguments: dict[str, Any], seed: int, **weights: Any) -> nn.Module:  # noqa: ANN401
    """Build timm's network without its head; `weights` are timm's arguments that load some, else they are random.

    Raises:
        UserError: timm knows no such model, rejects an argument, or the weights do not fit.
    """
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=5)
        hint = f"near it are {', '.join(near)}" if near else "timm.list_models() lists the names"
        raise UserError(f"encoder model {model!r} is not known to timm {timm.__version__}; {hint}")
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        layers = {key: getattr(timm.layers, name) for key, name in arguments.items() if key == "mlp_layer"}
        return timm.create_model(model, num_classes=0, **weights, **{**arguments, **layers})
    except Exception as error:  # networks check their arguments, and files are damaged, in many ways
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if isinstance(error, TypeError) or not weights:
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


def cut_network(network: nn.Module, model: str, last_block: str | None) -> nn.Module:
    """Take out the blocks of a ResNet after `last_block`.

    Raises:
        UserError: it is no ResNet, or has no such block.
    """
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
        raise UserError(f"the encoder gives features of the shape {tuple(features.shape[1:])}; set `pooling:`")
    return int(features.shape[1])
