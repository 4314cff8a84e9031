import random

import pytest
import torch
from lightly.models.utils import random_block_mask

from histossl.ssl.masks import draw_masks
from histossl.ssl.share import Share

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def masks() -> torch.Tensor:
    torch.manual_seed(0)
    return draw_masks(Share(4000), 14, 14, (0.1, 0.5), CPU)


def test_one_of_two_crops_is_masked_and_either_is_as_likely(masks):
    masked = masks.flatten(2).any(2)
    assert masked.sum(0).eq(1).all()
    assert float(masked[0].float().mean()) == pytest.approx(0.5, abs=0.03)


def test_shares_of_masked_tokens_are_uniform(masks):
    shares = masks.any(0).flatten(1).float().mean(1)
    assert 0.095 <= float(shares.min()) < 0.11
    assert 0.49 < float(shares.max()) <= 0.5
    quarters = torch.quantile(shares, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quarters, torch.tensor([0.2, 0.3, 0.4]), atol=0.015, rtol=0)


def test_masks_are_blocks_as_the_originals(masks):
    random.seed(0)
    # lightly's port of the code of DINOv2.
    originals = random_block_mask((1500, 14, 14), batch_mask_ratio=1.0).float()
    ours = masks.any(0).float()
    torch.testing.assert_close(ours.mean(0), originals.mean(0), atol=0.07, rtol=0)

    def edges(masks: torch.Tensor) -> float:
        """Mean number of neighbours of which one is masked."""
        pairs = (masks[:, 1:] != masks[:, :-1], masks[:, :, 1:] != masks[:, :, :-1])
        return sum(float(unlike.sum()) for unlike in pairs) / len(masks)

    # Tokens drawn one by one, as many, would have more than twice as many.
    assert edges(ours) == pytest.approx(edges(originals), rel=0.2)


def test_a_process_gets_the_masks_of_its_samples():
    torch.manual_seed(0)
    whole = draw_masks(Share(12), 6, 6, (0.1, 0.5), CPU)
    for process in range(4):
        torch.manual_seed(0)
        assert torch.equal(draw_masks(Share(12, process, 4), 6, 6, (0.1, 0.5), CPU), whole[:, process::4])


def test_at_least_one_token_of_a_small_picture_is_masked():
    assert draw_masks(Share(50), 1, 2, (0.1, 0.5), CPU).any(0).flatten(1).sum(1).eq(1).all()
