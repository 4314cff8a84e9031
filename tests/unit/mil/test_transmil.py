import numpy as np
import pytest
import torch

from histossl.mil import transmil
from histossl.mil.transmil import AttentionLayer, GridEncoding, TransMil, pseudo_inverse, run_means

FEATURES, WIDTH, HEADS = 5, 16, 8


def head(landmarks: int = 4, classes: int = 3, dropout: float = 0.1) -> TransMil:
    torch.manual_seed(0)
    built = TransMil(FEATURES, classes, WIDTH, landmarks, dropout).double().eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return built


def bag_of(patches: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(patches).normal(size=(patches, FEATURES)))


def arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in module.state_dict().items()}


def softmax_rows(scores: np.ndarray) -> np.ndarray:
    return np.array([np.exp(row) / sum(np.exp(row)) for row in scores])


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias


def inverse(a: np.ndarray) -> np.ndarray:
    """Equation 11 of the Nyströmformer's paper and its starting point."""
    z = a.T / (np.abs(a).sum(axis=0).max() * np.abs(a).sum(axis=1).max())
    one = np.eye(len(a))
    for _ in range(6):
        z = 0.25 * z @ (13 * one - a @ z @ (15 * one - a @ z @ (7 * one - a @ z)))
    return z


def attention_layer(w: dict[str, np.ndarray], x: np.ndarray, landmarks: int) -> tuple[np.ndarray, np.ndarray]:
    """One layer a head at a time; also the mean attention of the first token."""
    n, width = len(x), WIDTH // HEADS
    normed = np.array([layer_norm(token, w["norm.weight"], w["norm.bias"]) for token in x])
    out, first = [], []
    for h in range(HEADS):
        q, k, v = (
            normed @ w["project.weight"][kind * WIDTH + h * width : kind * WIDTH + (h + 1) * width].T
            for kind in range(3)
        )
        q = q / np.sqrt(width)
        if n <= landmarks:
            matrix = softmax_rows(q @ k.T)
        else:
            runs = np.array_split(np.arange(n), landmarks)
            q_mean, k_mean = (
                np.array([q[run].mean(axis=0) for run in runs]),
                np.array([k[r].mean(axis=0) for r in runs]),
            )
            matrix = softmax_rows(q @ k_mean.T) @ inverse(softmax_rows(q_mean @ k_mean.T)) @ softmax_rows(q_mean @ k.T)
        kernel = w["residual.weight"][h, 0, :, 0]
        convolved = [
            sum(kernel[16 + shift] * v[i + shift] for shift in range(-16, 17) if 0 <= i + shift < n) for i in range(n)
        ]
        out.append(matrix @ v + np.array(convolved))
        first.append(matrix[0])
    return x + np.hstack(out) @ w["output.weight"].T + w["output.bias"], np.mean(first, axis=0)


def grid_encoding(w: dict[str, np.ndarray], tokens: np.ndarray, side: int) -> np.ndarray:
    """Each channel plus its three convolutions, a place at a time."""
    grid = tokens.reshape(side, side, WIDTH)
    encoded = grid.copy()
    for index, size in enumerate((7, 5, 3)):
        for row, column, dy, dx in np.ndindex(side, side, size, size):
            y, x = row + dy - size // 2, column + dx - size // 2
            if 0 <= y < side and 0 <= x < side:
                encoded[row, column] += w[f"convolutions.{index}.weight"][:, 0, dy, dx] * grid[y, x]
        encoded += w[f"convolutions.{index}.bias"]
    return encoded.reshape(side * side, WIDTH)


def paper(module: TransMil, bag: torch.Tensor, landmarks: int) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 2 of TransMIL's paper: logits and the attention of the class token."""
    w, n = arrays(module), len(bag)
    patches = [np.maximum(0, w["embed.0.weight"] @ x + w["embed.0.bias"]) for x in bag.numpy()]
    side = int(np.ceil(np.sqrt(n)))
    source = [*range(n), *range(side * side - n)]
    tokens = np.array([w["class_token"][0], *(patches[i] for i in source)])
    tokens, _ = attention_layer(arrays(module.first), tokens, landmarks)
    tokens = np.vstack([tokens[:1], grid_encoding(arrays(module.positions), tokens[1:], side)])
    tokens, attention = attention_layer(arrays(module.second), tokens, landmarks)
    shares = np.zeros(n)
    for place, patch in enumerate(source):
        shares[patch] += attention[1 + place]
    shares = np.maximum(shares, 0)
    judged = layer_norm(tokens[0], w["norm.weight"], w["norm.bias"])
    return w["classify.weight"] @ judged + w["classify.bias"], shares / shares.sum()


@pytest.mark.parametrize("landmarks", [4, 7, 64])
@pytest.mark.parametrize("patches", [1, 2, 3, 5, 9, 20])
def test_the_forward_pass_is_the_papers_formula(patches, landmarks):
    module, bag = head(landmarks), bag_of(patches)
    expected_logits, expected_attention = paper(module, bag, landmarks)
    logits, attention = module(bag)
    np.testing.assert_allclose(logits.detach().numpy(), expected_logits, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(attention.detach().numpy(), expected_attention, rtol=1e-9, atol=1e-9)
    assert attention.sum().item() == pytest.approx(1)
    assert attention.min() >= 0


def test_the_loss_is_cross_entropy():
    module, bag = head(classes=4), bag_of(6)
    logits = paper(module, bag, 4)[0]
    for target in range(4):
        expected = np.log(np.exp(logits).sum()) - logits[target]
        assert module.loss(bag, target).item() == pytest.approx(expected, rel=1e-9)


def test_nothing_is_approximated_where_the_landmarks_are_the_tokens(monkeypatch):
    """Each token as often as a run is long: a converged pseudo-inverse gives the softmax over the distinct tokens."""
    monkeypatch.setattr(transmil, "PSEUDO_INVERSE_STEPS", 60)
    torch.manual_seed(0)
    layer = AttentionLayer(WIDTH, landmarks=6, dropout=0.0).double().eval()
    tokens = torch.randn(6, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        layer.residual.weight.zero_()
        layer.project.weight.mul_(3)
        exact, first = layer(tokens)
        repeated, repeated_first = layer(tokens.repeat_interleave(5, dim=0))
    assert torch.allclose(repeated[::5], exact, rtol=0, atol=1e-8)
    assert torch.allclose(repeated_first.view(6, 5).sum(dim=1), first, rtol=0, atol=1e-8)


def test_the_pseudo_inverse_approaches_numpys():
    generator = np.random.default_rng(0)
    matrices = np.array([softmax_rows(generator.normal(size=(8, 8)) + scale * np.eye(8)) for scale in (4, 5, 6)])
    approximate = pseudo_inverse(torch.from_numpy(matrices)).numpy()
    np.testing.assert_allclose(approximate, np.linalg.pinv(matrices), atol=1e-6)
    np.testing.assert_allclose(approximate, [inverse(matrix) for matrix in matrices], atol=1e-12)


@pytest.mark.parametrize(("tokens", "runs"), [(8, 4), (9, 4), (11, 4), (5, 4), (4, 4), (7, 1)])
def test_landmarks_are_means_of_runs_as_equal_as_can_be(tokens, runs):
    values = np.random.default_rng(0).normal(size=(2, tokens, 3))
    expected = np.stack([part.mean(axis=1) for part in np.array_split(values, runs, axis=1)], axis=1)
    np.testing.assert_allclose(run_means(torch.from_numpy(values), runs).numpy(), expected, rtol=1e-12)


def test_positions_are_encoded_by_the_sum_of_three_convolutions():
    torch.manual_seed(0)
    encoding = GridEncoding(WIDTH).double()
    tokens = torch.randn(25, WIDTH, dtype=torch.float64)
    grid = tokens.T.reshape(1, WIDTH, 5, 5)
    expected = grid + sum(convolution(grid) for convolution in encoding.convolutions)
    assert torch.allclose(encoding(tokens, 5), expected.flatten(2)[0].T)


def test_what_a_head_computes_does_not_depend_on_what_is_stacked_with_it():
    torch.manual_seed(0)
    small, large = torch.softmax(
        torch.randn(2, 1, 6, 6, dtype=torch.float64) * torch.tensor([1, 9.0]).view(2, 1, 1, 1), 3
    )
    assert torch.equal(pseudo_inverse(torch.cat([small, large]))[:1], pseudo_inverse(small))


@pytest.mark.parametrize("patches", [1, 2, 30])
def test_gradients_are_finite_in_training_and_reach_every_weight(patches):
    module = head().train()
    loss = module.loss(100 * bag_of(patches), 1)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())
    if patches == 30:
        assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
