"""What only a GPU can show; skipped where there is none."""

import numpy as np
import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.features.embed import Embedder, find_device
from histossl.features.geometry import Geometry
from histossl.features.readers import BATCH
from tests.unit.small_networks import CARD

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

PATCHES = np.random.default_rng(0).integers(0, 256, (40, 48, 48, 3), np.uint8)


def embedder(device, precision="fp32", **options):
    return Embedder(build_backbone(CARD.model, CARD.model_args, 1), CARD, torch.device(device), precision, **options)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("source", "resize_px", "input_px"), [(256, 224, 224), (256, 256, 224), (1024, 224, 224)])
def test_pixels_are_those_of_the_cpu(source, resize_px, input_px, interpolation):
    geometry = Geometry(resize_px, input_px, interpolation)
    patches = np.random.default_rng(0).integers(0, 256, (3, source, source, 3), np.uint8)
    on_gpu = geometry.apply_on_device(torch.from_numpy(patches).permute(0, 3, 1, 2).cuda()).permute(0, 2, 3, 1).cpu()
    np.testing.assert_array_equal(on_gpu.numpy(), np.stack([geometry.apply(patch) for patch in patches]))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-2), ("bf16", 1e-2)])
def test_features_are_those_of_the_cpu(precision, tolerance):
    expected = embedder("cpu").embed(PATCHES)
    relative = np.linalg.norm(embedder("cuda", precision).embed(PATCHES) - expected, axis=1)
    assert (relative / np.linalg.norm(expected, axis=1)).max() < tolerance


def test_the_batch_is_found():
    assert find_device().type == "cuda"
    assert embedder("cuda", "fp16").batch == BATCH


def test_uploads_beside_the_work_on_other_patches_are_whole():
    there, here = embedder("cuda", batch=8), embedder("cpu")
    buffer = np.empty_like(PATCHES)
    launched = []
    for start in range(0, 40, 8):
        buffer[:8] = PATCHES[start : start + 8]
        launched.append(there.launch([there.upload(buffer[:8])]))
        buffer[:] = 0
    got = np.concatenate([there.fetch(features) for features in launched])
    np.testing.assert_allclose(got, here.embed(PATCHES), atol=1e-3)
