import pytest
import timm
import torch

from histossl.ssl.share import Share, SharedDropPath, share_drop_path

CPU = torch.device("cpu")


def drawn(share):
    torch.manual_seed(5)
    return share.random(3, device=CPU)


def test_samples_have_the_same_numbers_on_any_number_of_processes():
    whole = drawn(Share(12))
    assert whole.shape == (3, 12)
    for count in (2, 3, 4):
        pieces = torch.empty_like(whole)
        for process in range(count):
            share = Share(12, process, count)
            pieces[:, process::count] = drawn(share)
            assert share.own == 12 // count
        assert torch.equal(pieces, whole)


def test_drop_path_keeps_the_mean_and_drops_whole_samples():
    torch.manual_seed(1)
    layer = SharedDropPath(0.25, Share(4000))
    values = layer(torch.ones(8000, 2, 3))
    assert values.flatten(1).std(1).max() == 0
    assert torch.allclose(values.unique(), torch.tensor([0, 1 / 0.75]))
    assert abs(float(values.mean()) - 1) < 0.03
    assert torch.equal(layer.eval()(torch.ones(8000, 1)), torch.ones(8000, 1))


def test_all_drop_paths_of_a_network_are_replaced_and_its_weights_keep_their_names():
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "drop_path_rate": 0.3}
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments)
    names = list(network.state_dict())
    share_drop_path(network, Share(4))
    probabilities = [module.probability for module in network.modules() if isinstance(module, SharedDropPath)]
    assert probabilities == pytest.approx([0.15, 0.15, 0.3, 0.3])
    assert not any(isinstance(module, timm.layers.DropPath) for module in network.modules())
    assert list(network.state_dict()) == names
    torch.manual_seed(0)
    first = network.train()(torch.ones(8, 3, 16, 16))
    assert not torch.equal(first[:4], first[4:])
