import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import EncoderCard
from histossl.features.embed import Embedder

CARD = EncoderCard("test_vit", {"img_size": 32}, (0.7, 0.5, 0.6), (0.2, 0.25, 0.3), 32, 1.0, 64, "dino", {}, "ab")


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks lose more to waiting threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def embedder():
    return Embedder(build_backbone(CARD.model, CARD.model_args, 1), CARD, torch.device("cpu"))
