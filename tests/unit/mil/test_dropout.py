import pytest
import torch

from histossl.mil.dropout import ByteDropout


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.4375])
def test_values_are_dropped_with_the_probability_and_keep_their_expectation(probability):
    torch.manual_seed(0)
    ones = torch.ones(101, 997, requires_grad=True)
    dropped = ByteDropout(probability).train()(ones)
    rounded = round(probability * 256) / 256
    assert (dropped == 0).double().mean().item() == pytest.approx(rounded, abs=0.006)  # 4 standard errors
    assert torch.allclose(dropped[dropped > 0], torch.tensor(1 / (1 - rounded)))
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped.detach())


def test_every_place_of_a_word_is_dropped_alike():
    torch.manual_seed(0)
    share = (ByteDropout(0.25).train()(torch.ones(20_000, 8)) == 0).double().mean(dim=0)
    assert torch.allclose(share, torch.full((8,), 0.25, dtype=torch.float64), atol=0.0125)  # 4 standard errors


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    zero = (ByteDropout(0.5).train()(torch.ones(20_000, 8)) == 0).double()
    assert torch.corrcoef(zero.T).fill_diagonal_(0).abs().max() < 0.035  # 5 standard errors


def test_evaluation_and_probability_zero_leave_values_alone():
    values = torch.rand(5, 3)
    assert ByteDropout(0.5).eval()(values) is values
    assert ByteDropout(0.0).train()(values) is values
