import numpy as np
import pytest
import torch

from histossl.mil.heads import BagClassifier


def head(model: str, **changes) -> BagClassifier:
    torch.manual_seed(0)
    sizes = {"features": 7, "classes": 3, "hidden": 6, "attention": 4, "dropout": 0.25}
    built = BagClassifier(model, **{**sizes, **changes}).double().eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter)
    return built


def arrays(module: BagClassifier) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in module.state_dict().items()}


@pytest.fixture
def bag():
    return torch.from_numpy(np.random.default_rng(1).normal(size=(5, 7)))


def test_gated_attention_is_the_papers_formula(bag):
    module = head("abmil")
    w = arrays(module)
    h = [np.maximum(0, w["embed.0.weight"] @ x + w["embed.0.bias"]) for x in bag.numpy()]
    v, u = w["pool.gates.weight"][:4], w["pool.gates.weight"][4:]
    v_bias, u_bias = w["pool.gates.bias"][:4], w["pool.gates.bias"][4:]
    scores = np.array(
        [w["pool.score.weight"][0] @ (np.tanh(v @ x + v_bias) / (1 + np.exp(-(u @ x + u_bias)))) for x in h]
    )
    a = np.exp(scores) / np.exp(scores).sum()
    z = sum(weight * x for weight, x in zip(a, h, strict=True))
    logits, attention = module(bag)
    np.testing.assert_allclose(attention.detach().numpy(), a, rtol=1e-12)
    np.testing.assert_allclose(logits.detach().numpy(), w["classify.weight"] @ z + w["classify.bias"], rtol=1e-12)


@pytest.mark.parametrize(("model", "pool"), [("mean", np.mean), ("max", np.max)])
def test_the_controls_pool_by_mean_and_maximum(model, pool, bag):
    module = head(model)
    w = arrays(module)
    h = np.maximum(0, bag.numpy() @ w["embed.0.weight"].T + w["embed.0.bias"])
    logits, attention = module(bag)
    expected = w["classify.weight"] @ pool(h, axis=0) + w["classify.bias"]
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-12)
    assert attention.shape == (5,)
    assert attention.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("model", ["abmil", "mean", "max"])
def test_the_order_of_the_patches_does_not_matter(model, bag):
    module, order = head(model), torch.tensor([3, 0, 4, 1, 2])
    logits, attention = module(bag)
    shuffled_logits, shuffled_attention = module(bag[order])
    assert torch.allclose(logits, shuffled_logits)
    assert torch.allclose(attention[order], shuffled_attention)


def test_max_pooling_attends_to_the_patch_that_supplies_the_maxima(bag):
    bag[2] *= 0
    module = head("max")
    with torch.no_grad():
        module.embed[0].weight.zero_()
        module.embed[0].weight[:, 0] = 1
        module.embed[0].bias.fill_(50)
    bag[2, 0] = 10
    assert module(bag)[1].tolist() == [0, 0, 1, 0, 0]


def test_the_loss_is_the_cross_entropy(bag):
    module = head("abmil")
    logits = module(bag)[0].detach().numpy()
    assert module.loss(bag, 1).item() == pytest.approx(np.log(np.exp(logits).sum()) - logits[1])
