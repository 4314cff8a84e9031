from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from histossl.encoders.backbone import build_backbone
from histossl.errors import JobError, UserError
from histossl.features.embed import Embedder, find_device, resolve_precision
from tests.unit.small_networks import CARD

CPU = torch.device("cpu")
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
    parts = Embedder(embedder.backbone, embedder.card, embedder.device, batch=size)
    np.testing.assert_allclose(parts.embed(PATCHES), embedder.embed(PATCHES), atol=1e-5)
    together = embedder.fetch(embedder.launch([embedder.upload(PATCHES[:3]), embedder.upload(PATCHES[3:])]))
    np.testing.assert_allclose(together, embedder.embed(PATCHES), atol=1e-5)


def test_uploaded_patches_may_be_overwritten(embedder):
    patches = PATCHES.copy()
    uploaded = embedder.upload(patches)
    patches[:] = 0
    np.testing.assert_array_equal(embedder.fetch(embedder.launch([uploaded])), embedder.embed(PATCHES))


@pytest.mark.parametrize("px", [20, 64])
def test_patches_of_another_size_are_resized(embedder, px):
    flat = np.full((2, px, px, 3), (200, 120, 180), np.uint8)
    same = np.full((2, 32, 32, 3), (200, 120, 180), np.uint8)
    np.testing.assert_allclose(embedder.embed(flat), embedder.embed(same), atol=1e-5)


@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
@pytest.mark.parametrize(("resize_px", "interpolation"), [(None, "bilinear"), (37, "bicubic")])
def test_features_are_those_of_the_encoders_own_transform_one_by_one(model, resize_px, interpolation):
    """The plain way: a Pillow picture, torchvision's transforms, fp32, a batch of one."""
    card = replace(CARD, model=model, model_args={}, resize_px=resize_px, interpolation=interpolation)
    embedder = Embedder(build_backbone(model, {"img_size": 32} if model == "test_vit" else {}, 1), card, CPU)
    large = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (5 * 48, 48, 3), np.uint8), (0, 0), 1)
    patches = large.reshape(5, 48, 48, 3)
    own = transforms.Compose(
        [
            transforms.Resize(resize_px or 32, transforms.InterpolationMode[interpolation.upper()]),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(card.mean, card.std),
        ]
    )
    with torch.no_grad():
        expected = torch.cat([embedder.backbone(own(Image.fromarray(patch))[None]) for patch in patches]).numpy()
    relative = np.linalg.norm(embedder.embed(patches) - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert relative.max() < 1e-5


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_is_near_and_other(embedder, precision):
    mixed = Embedder(embedder.backbone, embedder.card, CPU, precision).embed(PATCHES)
    full = embedder.embed(PATCHES)
    assert mixed.dtype == np.float32
    relative = np.linalg.norm(mixed - full, axis=1) / np.linalg.norm(full, axis=1)
    assert 1e-6 < relative.max() < 1e-2


def test_automatic_precision_is_full_on_the_cpu_and_mixed_on_a_gpu():
    assert resolve_precision("auto", CPU) == "fp32"
    assert resolve_precision("auto", torch.device("cuda")) == "fp16"
    assert resolve_precision("bf16", CPU) == "bf16"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_pytorch_cannot_use_is_not_passed_over(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_device() == CPU
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab")
    with pytest.raises(JobError, match=r"the GPU GPU-ab was granted, but this PyTorch .* cannot use it"):
        find_device()


class Full:
    """A network on a device that holds so many patches at once."""

    def __init__(self, network, patches):
        self.network, self.patches, self.seen = network, patches, []

    def __call__(self, images):
        self.seen.append(len(images))
        if len(images) > self.patches:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network(images)


def test_out_of_memory_halves_the_batch_with_a_line_and_for_good(embedder, capsys):
    expected = embedder.embed(PATCHES)
    embedder.backbone = Full(embedder.backbone, 2)
    embedder.batch = 7
    np.testing.assert_allclose(embedder.embed(PATCHES), expected, atol=1e-5)
    assert embedder.backbone.seen[:2] == [7, 3]
    assert embedder.batch == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [f"out of memory on the GPU: going on with batches of {size} patches" for size in (3, 1)]
    embedder.backbone.seen.clear()
    embedder.embed(PATCHES)
    assert set(embedder.backbone.seen) == {1}


def test_no_room_for_uploads_is_a_sentence_and_is_tried_twice(embedder, monkeypatch):
    tries = []

    def upload(*_):
        tries.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(embedder, "_upload", upload)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    with pytest.raises(JobError, match="doesn't fit into the GPU's memory"):
        embedder.embed(PATCHES)
    assert len(tries) == 2


def test_a_network_that_holds_no_patch_is_a_sentence(embedder):
    embedder.backbone = Full(embedder.backbone, 0)
    with pytest.raises(JobError, match="'test_vit' doesn't fit into the GPU's memory"):
        embedder.embed(PATCHES)


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
