import socket

import pytest
import timm
import torch
from torch import distributed, multiprocessing, nn

from histossl.ssl.batch_norm import share_statistics

CPU = torch.device("cpu")


def build():
    torch.manual_seed(0)
    stem = timm.create_model("test_resnet", num_classes=0)
    return nn.Sequential(
        stem, nn.BatchNorm1d(stem.num_features, momentum=None), nn.BatchNorm1d(stem.num_features, affine=False)
    )


def pictures():
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def step(network, values):
    """Output, gradients, and running statistics of one training step."""
    output = network(values)
    (output**3).mean().backward()
    return output.detach(), [p.grad for p in network.parameters()], dict(network.named_buffers())


def work(rank, port, results):
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    network = share_statistics(build().double().train(), CPU)
    output, gradients, buffers = step(network, pictures().double()[rank::2])
    for gradient in gradients:
        distributed.all_reduce(gradient)
    results[rank] = [value.numpy() for value in (output, *[g / 2 for g in gradients], *buffers.values())]
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_outputs_gradients_and_statistics_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        multiprocessing.spawn(work, (port, results), nprocs=2)
        halves = [list(map(torch.from_numpy, results[rank])) for rank in range(2)]
    whole = build().double().train()
    output, gradients, buffers = step(whole, pictures().double())
    for rank, half in enumerate(halves):
        expected = [output[rank::2], *gradients, *buffers.values()]
        assert len(half) == len(expected)
        for got, wanted in zip(half, expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-9)
