import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import CenterCrop, Resize

from histossl.encoders.preprocessing import Preprocessing, resolve_preprocessing
from histossl.errors import UserError

OPEN = dict.fromkeys(("mean", "std", "input_px", "resize_px", "interpolation"))
TIMMS = {
    "input_size": (3, 224, 224),
    "crop_pct": 0.9,
    "interpolation": "bicubic",
    "mean": (0.5,) * 3,
    "std": (0.2,) * 3,
}


@pytest.mark.parametrize(
    ("stated", "img_size", "input_px", "resize_px"),
    [
        ({}, None, 224, 248),
        ({"input_px": 256}, None, 256, 256),
        ({}, 256, 256, 256),
        ({}, [112, 112], 112, 112),
        ({"input_px": 128}, 256, 128, 128),
        ({"resize_px": 256}, None, 224, 256),
        ({"resize_px": 300, "input_px": 256}, None, 256, 300),
    ],
)
def test_what_is_stated_goes_before_the_models_own(stated, img_size, input_px, resize_px):
    found = resolve_preprocessing({**OPEN, **stated}, TIMMS, img_size)
    assert found == Preprocessing((0.5,) * 3, (0.2,) * 3, input_px, resize_px, "bicubic")


def test_mean_sd_and_interpolation_may_be_stated():
    stated = {"mean": [0.7, 0.5, 0.6], "std": [0.1, 0.2, 0.3], "interpolation": "bilinear"}
    found = resolve_preprocessing({**OPEN, **stated}, TIMMS)
    assert found == Preprocessing((0.7, 0.5, 0.6), (0.1, 0.2, 0.3), 224, 248, "bilinear")


@pytest.mark.parametrize(
    "model", ["resnet50.tv_in1k", "vit_small_patch16_224", "convnext_tiny", "vit_small_patch14_dinov2"]
)
def test_it_is_what_timm_does_to_a_square_patch(model):
    published = timm.get_pretrained_cfg(model).to_dict()
    resize, crop = create_transform(**timm.data.resolve_data_config(pretrained_cfg=published)).transforms[:2]
    found = resolve_preprocessing(OPEN, published)
    assert isinstance(resize, Resize)
    assert isinstance(crop, CenterCrop)
    assert (found.resize_px, found.interpolation) == (
        resize(Image.new("RGB", (300, 300))).width,
        resize.interpolation.value,
    )
    assert found.input_px == crop(torch.zeros(3, 600, 600)).shape[-1]


@pytest.mark.parametrize(
    ("stated", "published", "said"),
    [
        ({"resize_px": 200}, {}, "brought to 200 px, but its input has 224 px"),
        (
            {},
            {"interpolation": "lanczos"},
            "own interpolation is 'lanczos', which is not done here; state `interpolation:`",
        ),
    ],
)
def test_what_cannot_be_done_is_a_sentence(stated, published, said):
    with pytest.raises(UserError, match=said):
        resolve_preprocessing({**OPEN, **stated}, {**TIMMS, **published})
