from dataclasses import replace

import pytest

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import save_encoder
from histossl.encoders.size import count_parameters
from tests.unit.small_networks import CARD

XCIT = {"embed_dim": 32, "depth": 1, "num_heads": 2, "cls_attn_layers": 1}


@pytest.mark.parametrize(
    ("model", "model_args"),
    [("test_vit", {}), ("test_resnet", {}), ("xcit_nano_12_p8_224", XCIT), ("test_efficientnet", {})],
)
def test_parameters_are_those_of_the_network(tmp_path, model, model_args):
    backbone = build_backbone(model, model_args, 1)
    save_encoder(tmp_path / "encoder.pt", replace(CARD, model=model, model_args=model_args), backbone)
    assert count_parameters(tmp_path / "encoder.pt") == sum(each.numel() for each in backbone.parameters())
