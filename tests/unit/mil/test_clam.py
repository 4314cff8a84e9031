import numpy as np
import pytest
import torch

from histossl.mil.clam import ClamMB, ClamSB, smooth_svm

FEATURES, HIDDEN, GATE = 7, 6, 4


def head(model: type[ClamSB], classes: int = 3, **changes) -> ClamSB:
    torch.manual_seed(0)
    settings = {
        "hidden": HIDDEN,
        "attention": GATE,
        "dropout": 0.25,
        "instance_loss": "svm",
        "instance_weight": 0.3,
        "instance_patches": 2,
        "subtyping": True,
    }
    built = model(FEATURES, classes, **{**settings, **changes}).double().eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter)
    return built


def bag_of(patches: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(patches).normal(size=(patches, FEATURES)))


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values)
    return powers / powers.sum()


def cross_entropy(logits: np.ndarray, target: int) -> float:
    return -np.log(softmax(logits)[target])


def svm(scores: np.ndarray, target: int) -> float:
    terms = [np.exp((0 if index == target else 1) + score) for index, score in enumerate(scores)]
    return np.log(sum(terms)) - scores[target]


class Paper:
    """The paper's formulas, a patch and a class at a time."""

    def __init__(self, module: ClamSB, bag: torch.Tensor) -> None:
        self.w = {name: value.numpy() for name, value in module.state_dict().items()}
        w = self.w
        self.classes = len(w["classify.bias"])
        self.h = [np.maximum(0, w["embed.0.weight"] @ x + w["embed.0.bias"]) for x in bag.numpy()]
        v, u = w["pool.gates.weight"][:GATE], w["pool.gates.weight"][GATE:]
        v_bias, u_bias = w["pool.gates.bias"][:GATE], w["pool.gates.bias"][GATE:]
        gated = [np.tanh(v @ h + v_bias) / (1 + np.exp(-(u @ h + u_bias))) for h in self.h]
        branches = [
            softmax(np.array([weight @ g + bias for g in gated]))
            for weight, bias in zip(w["pool.score.weight"], w["pool.score.bias"], strict=True)
        ]
        self.attention = [branches[c] if len(branches) > 1 else branches[0] for c in range(self.classes)]
        bags = [sum(a * h for a, h in zip(attention, self.h, strict=True)) for attention in self.attention]
        self.logits = np.array([w["classify.weight"][c] @ bags[c] + w["classify.bias"][c] for c in range(self.classes)])

    def instance_losses(self, target: int, patches: int, loss) -> list[float]:
        """One mean for each class, that of `target` with labels 1 and 0, the others' with 0."""
        means = []
        for c in range(self.classes):
            count = min(patches, len(self.h) // 2)
            descending = sorted(range(len(self.h)), key=lambda k, c=c: -self.attention[c][k])
            labelled = [(k, int(c == target)) for k in descending[:count]]
            if c == target:
                labelled += [(k, 0) for k in descending[::-1][:count]]
            weight, bias = self.w[f"instances.{c}.weight"], self.w[f"instances.{c}.bias"]
            means.append(np.mean([loss(weight @ self.h[k] + bias, label) for k, label in labelled]))
        return means


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("model", [ClamSB, ClamMB])
def test_the_forward_pass_is_the_papers_formula(model, classes):
    module, bag = head(model, classes), bag_of(9)
    paper = Paper(module, bag)
    logits, attention = module(bag)
    np.testing.assert_allclose(logits.detach().numpy(), paper.logits, rtol=1e-12)
    np.testing.assert_allclose(attention.detach().numpy(), paper.attention[paper.logits.argmax()], rtol=1e-12)
    assert attention.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("patches", [9, 4, 3, 2])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("loss", "formula"), [("svm", svm), ("cross_entropy", cross_entropy)])
@pytest.mark.parametrize("model", [ClamSB, ClamMB])
def test_the_loss_is_the_papers_formula(model, loss, formula, classes, patches):
    bag = bag_of(patches)
    for subtyping in (True, False):
        module = head(model, classes, instance_loss=loss, subtyping=subtyping)
        paper = Paper(module, bag)
        for target in range(classes):
            instance = paper.instance_losses(target, 2, formula)
            expected = 0.7 * cross_entropy(paper.logits, target)
            expected += 0.3 * (np.mean(instance) if subtyping else instance[target])
            assert module.loss(bag, target).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", [ClamSB, ClamMB])
def test_a_bag_of_one_patch_has_no_instance_loss(model):
    module, bag = head(model), bag_of(1)
    expected = 0.7 * cross_entropy(Paper(module, bag).logits, 1)
    assert module.loss(bag, 1).item() == pytest.approx(expected, rel=1e-12)
    assert module(bag)[1].tolist() == [1]


@pytest.mark.parametrize("patches", [16, 15, 5, 2])
def test_no_patch_gets_both_labels_even_where_all_are_attended_alike(patches):
    module = head(ClamSB, classes=2, instance_patches=8, subtyping=False)
    embedded = torch.from_numpy(np.random.default_rng(0).normal(size=(patches, HIDDEN)))
    seen = []
    module.instances[1].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    module.instance_loss(embedded, torch.full((1, patches), 1 / patches, dtype=torch.float64), 1)
    assert len(torch.unique(seen[0], dim=0)) == len(seen[0]) == 2 * min(8, patches // 2)


@pytest.mark.parametrize("model", [ClamSB, ClamMB])
def test_the_instance_loss_trains_the_embedding_but_not_the_attention(model):
    module, bag = head(model, instance_weight=1.0), bag_of(9)
    module.loss(bag, 0).backward()
    assert module.embed[0].weight.grad.abs().sum() > 0
    assert all(layer.weight.grad.abs().sum() > 0 for layer in module.instances)
    assert module.pool.gates.weight.grad.abs().sum() == 0
    assert module.pool.score.weight.grad.abs().sum() == 0


@pytest.mark.parametrize("model", [ClamSB, ClamMB])
def test_the_order_of_the_patches_does_not_matter(model):
    module, bag, order = head(model), bag_of(7), torch.tensor([3, 0, 6, 4, 1, 2, 5])
    logits, attention = module(bag)
    shuffled_logits, shuffled_attention = module(bag[order])
    assert torch.allclose(logits, shuffled_logits)
    assert torch.allclose(attention[order], shuffled_attention)
    assert torch.allclose(module.loss(bag, 2), module.loss(bag[order], 2))


@pytest.mark.parametrize("patches", [1, 2, 5, 40])
@pytest.mark.parametrize("model", [ClamSB, ClamMB])
def test_gradients_are_finite_in_training(model, patches):
    module = head(model, instance_patches=8).train()
    loss = module.loss(1e3 * bag_of(patches), 1)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_the_smooth_svm_is_the_papers_formula_and_bounds_the_hinge():
    generator = np.random.default_rng(2)
    scores, labels = generator.normal(scale=3, size=(50, 4)), generator.integers(4, size=50)
    naive = np.array([svm(row, label) for row, label in zip(scores, labels, strict=True)])
    loss = smooth_svm(torch.from_numpy(scores), torch.from_numpy(labels)).item()
    assert loss == pytest.approx(naive.mean(), rel=1e-12)
    margins = scores + (np.arange(4) != labels[:, None])
    hinge = margins.max(axis=1) - scores[np.arange(50), labels]
    assert np.all(naive >= hinge)
    assert np.all(naive <= hinge + np.log(4) + 1e-12)


def test_the_smooth_svm_stands_scores_that_overflow_an_exponential():
    scores = torch.tensor([[2000.0, -2000.0], [-2000.0, 2000.0]])
    assert smooth_svm(scores, torch.tensor([0, 0])).item() == pytest.approx(2000.5)
