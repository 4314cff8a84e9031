import numpy as np
import pytest
import torch

from histossl.encoders.backbone import build_backbone, count_features
from histossl.encoders.encoder_file import hash_weights
from histossl.errors import UserError

SMALL = {"img_size": 32}


def test_the_same_seed_gives_the_same_weights():
    first, again, other = (build_backbone("test_vit", SMALL, seed).state_dict() for seed in (1, 1, 2))
    assert hash_weights(first) == hash_weights(again) != hash_weights(other)


def test_training_arguments_add_and_change_no_weights():
    plain = build_backbone("test_vit", SMALL, 1).state_dict()
    training = build_backbone("test_vit", SMALL, 1, training_args={"drop_path_rate": 0.2}).state_dict()
    assert hash_weights(plain) == hash_weights(training)


def test_the_global_generator_is_left_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_backbone("test_vit", SMALL, 1)
    with pytest.raises(UserError):
        build_backbone("test_vit", {"nonsense": 1}, 1)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize(("model", "arguments", "px"), [("test_vit", SMALL, 32), ("test_resnet", {}, 48)])
def test_it_gives_one_vector_an_image_without_a_head(model, arguments, px):
    backbone = build_backbone(model, arguments, 1)
    features = backbone.eval()(torch.zeros(2, 3, px, px))
    assert features.shape == (2, count_features(backbone, px))
    assert backbone.get_classifier().__class__ is torch.nn.Identity


def test_counting_features_leaves_mode_and_statistics_alone():
    backbone = build_backbone("test_resnet", {}, 1).train()
    before = hash_weights(backbone.state_dict())
    count_features(backbone, 32)
    assert backbone.training
    assert hash_weights(backbone.state_dict()) == before


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("vit_smal_patch16_224", "vit_small_patch16_224"), ("resnet5O", "resnet50"), ("tset_vit", "test_vit")],
)
def test_an_unknown_model_is_answered_with_near_names(typed, meant):
    with pytest.raises(UserError, match=f"{typed}.*near it are.*{meant}"):
        build_backbone(typed, {}, 1)


@pytest.mark.parametrize("model", ["", "zzzzzzzzzzzzzz", "hf-hub:a/b"])
def test_a_model_near_nothing_is_a_sentence_too(model):
    with pytest.raises(UserError, match="not known to timm"):
        build_backbone(model, {}, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"nonsense": 1},
        {"depth": -1},
        {"num_heads": 7},
        {"img_size": "a"},
        {"patch_size": 0},
        {"num_classes": 3},
        {"global_pool": "nonsense"},
        {"act_layer": "nonsense"},
        {"mlp_layer": "nonsense"},
    ],
)
def test_arguments_that_the_model_rejects_are_named(arguments):
    with pytest.raises(UserError, match=f"'test_vit' cannot be built with the arguments .*{next(iter(arguments))}"):
        build_backbone("test_vit", arguments, 1)


def test_an_unknown_tag_of_weights_is_a_sentence():
    with pytest.raises(UserError, match="nope"):
        build_backbone("test_vit.nope", {}, 1)


def test_layers_are_named():
    arguments = {**SMALL, "mlp_layer": "SwiGLUPacked", "act_layer": "silu"}
    block = build_backbone("test_vit", arguments, 1).blocks[0].mlp
    assert (type(block).__name__, type(block.act).__name__) == ("GluMlp", "SiLU")
    assert block.fc1.out_features == 2 * block.fc2.in_features


def test_an_image_size_that_does_not_fit_is_a_sentence():
    backbone = build_backbone("test_vit", SMALL, 1).train()
    with pytest.raises(UserError, match="takes no images of 100 x 100 px"):
        count_features(backbone, 100)
    assert backbone.training


def test_a_network_that_gives_a_vector_for_each_token_is_refused():
    with pytest.raises(UserError, match="pooling"):
        count_features(build_backbone("test_vit", {**SMALL, "global_pool": ""}, 1), 32)


def test_numpys_generator_is_not_used():
    np.random.seed(1)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    build_backbone("test_vit", SMALL, 1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
