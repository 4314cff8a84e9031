"""What tests of small networks share."""

import pytest
import torch

from histossl.encoders.encoder_file import EncoderCard

CARD = EncoderCard("test_vit", {"img_size": 32}, (0.7, 0.5, 0.6), (0.2, 0.25, 0.3), 32, (1.0,), 64, "dino", {}, "ab")


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks lose more to waiting threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
