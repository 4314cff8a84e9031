import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from torch import distributed, multiprocessing

from histossl.errors import UserError
from histossl.ssl.method import Horizon
from histossl.ssl.methods import METHODS
from histossl.ssl.settings import read_settings
from histossl.ssl.share import Share
from histossl.ssl.simclr import Simclr


def make(values: dict) -> Simclr:
    torch.manual_seed(0)
    return Simclr(read_settings(values, METHODS), Horizon(steps=4, steps_per_epoch=2), Share(4))


def formula(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Equation 1 of the paper, over all 2N views."""
    views = np.concatenate([first, second]).astype(np.float64)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    powers = np.exp(views @ views.T / temperature)
    count = len(first)
    losses = [
        -np.log(powers[i, (i + count) % (2 * count)] / (powers[i].sum() - powers[i, i])) for i in range(2 * count)
    ]
    return float(np.mean(losses))


def test_loss_is_the_papers_formula_in_float64(simclr_values):
    method = make(simclr_values)
    crops = torch.randn(2, 8, 3, 16, 16)
    loss, figures = method([crops], step=0)
    projections = method.head(method.backbone(crops.flatten(0, 1))).detach().double().numpy()
    assert float(loss.detach()) == pytest.approx(formula(projections[:8], projections[8:], 0.1), rel=1e-5)
    assert 0 < float(figures["feature_std"]) < 1.2


def gather_and_differentiate(rank: int, views: torch.Tensor, address: str, results) -> None:
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    own = views[:, rank::2].clone().requires_grad_()
    loss = NTXentLoss(0.1, gather_distributed=True)(own[0], own[1])
    loss.backward()
    # DistributedDataParallel averages gradients over the processes.
    results[rank] = (float(loss), (own.grad / 2).tolist())
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_the_loss_and_gradient_of_one(tmp_path):
    torch.manual_seed(0)
    views = torch.randn(2, 6, 5, requires_grad=True)
    loss = NTXentLoss(0.1)(views[0], views[1])
    loss.backward()
    with multiprocessing.get_context("spawn").Manager() as manager:
        results = manager.dict()
        arguments = (views.detach(), f"file://{tmp_path}/meet", results)
        # Forked, the processes would wait for ever on threads of the autograd engine that stay behind.
        multiprocessing.spawn(gather_and_differentiate, arguments, nprocs=2)
        losses, gradients = zip(*(results[rank] for rank in range(2)), strict=True)
    assert np.mean(losses) == pytest.approx(float(loss.detach()), rel=1e-6)
    for rank in range(2):
        torch.testing.assert_close(torch.tensor(gradients[rank]), views.grad[:, rank::2])


def test_other_than_two_equal_views_are_refused(simclr_values):
    simclr_values["augmentation"]["views"][0]["count"] = 3
    with pytest.raises(UserError, match="exactly two views of one size"):
        make(simclr_values)
