import pytest
import torch

from histossl.encoders.backbone import build_backbone
from histossl.features.embed import Embedder
from tests.unit.small_networks import CARD, one_thread  # noqa: F401


@pytest.fixture
def embedder():
    return Embedder(build_backbone(CARD.model, CARD.model_args, 1), CARD, torch.device("cpu"))
