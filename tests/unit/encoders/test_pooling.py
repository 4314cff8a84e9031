import copy

import pytest
import torch

from histossl.encoders.backbone import build_backbone, count_features
from histossl.errors import UserError

SMALL = {"img_size": 32, "reg_tokens": 3}


def tokens(network, images):
    """After the last normalisation: a class token, three registers, four patches."""
    found = network.forward_features(images)
    assert found.shape[1] == 1 + 3 + 4
    return found


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("token", lambda found: found[:, 0]),
        ("avg", lambda found: found[:, 4:].mean(1)),
        ("cls_mean", lambda found: torch.cat([found[:, 0], found[:, 4:].mean(1)], 1)),
    ],
)
def test_registers_are_left_out(pooling, expected):
    plain, pooled = (build_backbone("test_vit", SMALL, 1, pooling=kind).eval() for kind in ("", pooling))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(pooled(images), expected(tokens(plain, images)), rtol=0, atol=0)
    assert count_features(pooled, 32) == (128 if pooling == "cls_mean" else 64)


def test_weights_have_the_names_of_the_network():
    plain, pooled = (build_backbone("test_vit", SMALL, seed, pooling=kind) for seed, kind in ((1, ""), (2, "cls_mean")))
    assert list(pooled.state_dict()) == list(plain.state_dict())
    pooled.load_state_dict(plain.state_dict())
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in pooled.state_dict().items())
    assert copy.deepcopy(pooled).state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("model", "arguments", "pooling", "said"),
    [
        ("test_resnet", {}, "cls_mean", "'test_resnet' has no normalised tokens"),
        ("test_vit", {**SMALL, "global_pool": "avg"}, "avg", "'test_vit' has no normalised tokens"),
        (
            "test_vit",
            {"img_size": 32, "class_token": False, "global_pool": "avg", "fc_norm": False},
            "cls_mean",
            "has no class token; use `pooling: avg`",
        ),
        ("test_vit", SMALL, "mean", "pooling 'mean' is not known; there are token, avg, cls_mean"),
    ],
)
def test_what_cannot_be_pooled_is_a_sentence(model, arguments, pooling, said):
    with pytest.raises(UserError, match=said):
        build_backbone(model, arguments, 1, pooling=pooling)
