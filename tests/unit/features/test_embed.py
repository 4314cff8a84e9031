from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from histossl.errors import UserError
from histossl.features.embed import Embedder
from histossl.features.resize import resize

PATCHES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)


def reference(embedder, patch):
    """One patch through PIL and float64 arithmetic, in a batch of one."""
    card = embedder.card
    values = np.asarray(Image.fromarray(patch), np.float64) / 255
    values = (values - np.array(card.mean)) / np.array(card.std)
    with torch.no_grad():
        return embedder.backbone(torch.tensor(values.transpose(2, 0, 1)[None], dtype=torch.float32))[0].numpy()


def test_features_equal_a_plain_reference(embedder):
    features = embedder.embed(PATCHES)
    assert features.shape == (7, 64)
    assert features.dtype == np.float32
    expected = np.stack([reference(embedder, patch) for patch in PATCHES])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_channels_are_red_green_blue(embedder):
    assert np.abs(embedder.embed(PATCHES[..., ::-1].copy()) - embedder.embed(PATCHES)).max() > 1e-2


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_size_of_a_batch_changes_nothing(embedder, size):
    batches = [PATCHES[i : i + size] for i in range(0, 7, size)]
    np.testing.assert_allclose(embedder.embed_all(batches), embedder.embed(PATCHES), atol=1e-5)


def test_no_batch_gives_no_rows_of_the_right_length(embedder):
    features = embedder.embed_all([])
    assert features.shape == (0, 64)
    assert features.dtype == np.float32


@pytest.mark.parametrize("px", [20, 64])
def test_patches_of_another_size_are_resized(embedder, px):
    flat = np.full((2, px, px, 3), (200, 120, 180), np.uint8)
    same = np.full((2, 32, 32, 3), (200, 120, 180), np.uint8)
    np.testing.assert_allclose(embedder.embed(flat), embedder.embed(same), atol=1e-5)


def test_large_patches_shrink_as_pillow_shrinks_them(embedder):
    large = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8), (0, 0), 1)
    small = np.asarray(Image.fromarray(large).resize((32, 32), Image.Resampling.BILINEAR))
    got = resize(torch.from_numpy(large).permute(2, 0, 1)[None], 32)[0].permute(1, 2, 0).numpy()
    assert np.abs(got.astype(int) - small).max() <= 1
    np.testing.assert_allclose(embedder.embed(large[None]), embedder.embed(got[None]), atol=1e-5)


@pytest.mark.parametrize("spacing_um", [0.9, 1.1, 0.5, 2.0])
def test_another_scale_is_refused(embedder, spacing_um):
    with pytest.raises(UserError, match=rf"tiles\.h5 has {spacing_um:g} µm/px but .* 1 µm/px"):
        embedder.check_spacing(spacing_um, "tiles.h5")


def test_nearly_the_same_scale_and_an_encoder_without_one_are_fine(embedder):
    embedder.check_spacing(1.04, "tiles.h5")
    embedder.check_spacing(0.96, "tiles.h5")
    Embedder(embedder.backbone, replace(embedder.card, spacing_um=()), torch.device("cpu")).check_spacing(9.0, "a")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_damaged_weights_are_refused(embedder, bad):
    with torch.no_grad():
        next(embedder.backbone.parameters()).view(-1)[0] = bad
    with pytest.raises(UserError, match="not finite"):
        embedder.embed(PATCHES)


def test_dropout_and_drop_path_are_off(embedder):
    backbone = embedder.backbone.train()
    again = Embedder(backbone, embedder.card, torch.device("cpu"))
    assert not any(module.training for module in again.backbone.modules())
