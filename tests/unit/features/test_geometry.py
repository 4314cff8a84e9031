import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from histossl.features.geometry import WEIGHT_BITS, Geometry, pillow_weights


def pictures(height, width):
    """Noise, a smooth picture, and an edge, at which a bicubic filter overshoots."""
    made = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), np.uint8)
    made[1] = cv2.GaussianBlur(made[1], (0, 0), 1.5)
    made[2, :, : width // 2], made[2, :, width // 2 :] = 255, 0
    return made


def published_transform(geometry):
    """The transform that model cards state."""
    mode = transforms.InterpolationMode[geometry.interpolation.upper()]
    return transforms.Compose(
        [transforms.Resize(geometry.resize_px, mode), transforms.CenterCrop(geometry.input_px), np.asarray]
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(256, 256), (512, 512), (200, 200), (224, 224), (300, 256), (97, 131)])
@pytest.mark.parametrize(("resize_px", "input_px"), [(224, 224), (256, 224), (252, 252), (57, 48)])
def test_pixels_are_those_of_the_published_transform(size, resize_px, input_px, interpolation):
    geometry = Geometry(resize_px, input_px, interpolation)
    made = pictures(*size)
    expected = np.stack([published_transform(geometry)(Image.fromarray(picture)) for picture in made])
    np.testing.assert_array_equal(np.stack([geometry.apply(picture) for picture in made]), expected)
    on_device = geometry.apply_on_device(torch.from_numpy(made).permute(0, 3, 1, 2))
    assert on_device.dtype == torch.uint8
    np.testing.assert_array_equal(on_device.permute(0, 2, 3, 1).numpy(), expected)


def test_a_patch_of_the_right_size_is_left_as_it_is():
    made = pictures(64, 64)
    np.testing.assert_array_equal(Geometry(64, 64).apply(made[0]), made[0])
    same = torch.from_numpy(made).permute(0, 3, 1, 2)
    torch.testing.assert_close(Geometry(64, 64, "bicubic").apply_on_device(same), same, rtol=0, atol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_weights_of_a_pixel_add_up_to_one(interpolation):
    for source, target in ((256, 224), (224, 256), (37, 5)):
        sums = pillow_weights(source, target, interpolation).sum(axis=1) / 2**WEIGHT_BITS
        np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_a_crop_larger_than_the_resized_patch_enlarges_it():
    assert Geometry(48, 64).apply(pictures(48, 48)[0]).shape == (64, 64, 3)
