import numpy as np
import pytest
import torch

from histossl.mil.dsmil import Dsmil

FEATURES, QUERY = 7, 5


def head(classes: int = 3, dropout: float = 0.0) -> Dsmil:
    torch.manual_seed(0)
    built = Dsmil(FEATURES, classes, QUERY, dropout).double().eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter)
    return built


def bag_of(patches: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(patches).normal(size=(patches, FEATURES)))


def cross_entropy(logits: np.ndarray, target: int) -> float:
    return np.log(sum(np.exp(logits))) - logits[target]


def paper(module: Dsmil, bag: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The paper's formulas, a class and a patch at a time: both streams' logits and the (classes, N) attention."""
    w = {name: value.numpy() for name, value in module.state_dict().items()}
    h, classes = bag.numpy(), len(w["score.bias"])
    scores = np.array([w["score.weight"] @ x + w["score.bias"] for x in h])
    q = [w["query.weight"] @ x + w["query.bias"] for x in h]
    v = [w["value.weight"] @ x + w["value.bias"] for x in h]
    attention, b = [], []
    for c in range(classes):
        m = max(range(len(h)), key=lambda i, c=c: scores[i, c])
        likeness = np.array([np.exp(q_i @ q[m] / np.sqrt(QUERY)) for q_i in q])
        attention.append(likeness / likeness.sum())
        b.append(sum(a * value for a, value in zip(attention[c], v, strict=True)))
    kernels = w["classify.weight"].reshape(classes, classes, FEATURES)
    bag_logits = [
        sum(kernels[c, channel, d] * b[channel][d] for channel in range(classes) for d in range(FEATURES))
        + w["classify.bias"][c]
        for c in range(classes)
    ]
    return scores.max(axis=0), np.array(bag_logits), np.array(attention)


@pytest.mark.parametrize("patches", [1, 2, 9])
@pytest.mark.parametrize("classes", [2, 4])
def test_forward_and_loss_are_the_papers_formulas(classes, patches):
    module, bag = head(classes), bag_of(patches)
    highest, bag_logits, all_attention = paper(module, bag)
    logits, attention = module(bag)
    expected = (highest + bag_logits) / 2
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-11)
    np.testing.assert_allclose(attention.detach().numpy(), all_attention[expected.argmax()], rtol=1e-11)
    assert attention.sum().item() == pytest.approx(1)
    for target in range(classes):
        loss = (cross_entropy(bag_logits, target) + cross_entropy(highest, target)) / 2
        assert module.loss(bag, target).item() == pytest.approx(loss, rel=1e-11)


def test_the_classifier_is_the_papers_convolution_over_classes():
    module = head(3)
    convolution = torch.nn.Conv1d(3, 3, FEATURES).double()
    convolution.load_state_dict({"weight": module.classify.weight.view(3, 3, FEATURES), "bias": module.classify.bias})
    pooled = torch.from_numpy(np.random.default_rng(0).normal(size=(3, FEATURES)))
    assert torch.allclose(convolution(pooled).squeeze(1), module.classify(pooled.flatten()))


def test_the_order_of_the_patches_does_not_matter():
    module, bag, order = head(), bag_of(7), torch.tensor([3, 0, 6, 4, 1, 2, 5])
    logits, attention = module(bag)
    shuffled_logits, shuffled_attention = module(bag[order])
    assert torch.allclose(logits, shuffled_logits)
    assert torch.allclose(attention[order], shuffled_attention)


def test_both_streams_are_trained():
    module = head()
    module.loss(bag_of(9), 0).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


@pytest.mark.parametrize("patches", [1, 2, 40])
def test_gradients_are_finite_in_training(patches):
    module = head(dropout=0.5).train()
    loss = module.loss(100 * bag_of(patches), 1)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())
