"""TransMIL (Shao et al. 2021, arXiv 2106.00908): a transformer over all patches of a slide, with Nyström attention.

What the paper leaves open is taken from its authors' code; docs/mil.md says where we depart from it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from histossl.mil.dropout import ByteDropout

HEADS = 8
PSEUDO_INVERSE_STEPS = 6
RESIDUAL_TOKENS = 33
GRID_KERNELS = (7, 5, 3)


class TransMil(nn.Module):
    """Embed the patches, lay them on a square, let them attend to each other, and judge by a class token.

    H = ReLU(W x); the first patches are repeated until the number is a square; a class token comes before them;
    H = H + attention(norm(H)); positions are encoded on the square (`GridEncoding`); H = H + attention(norm(H));
    logits = C norm(class token).
    """

    def __init__(self, features: int, classes: int, hidden: int, landmarks: int, dropout: float) -> None:
        """Build a head with fresh weights.

        Args:
            features: width of the patch features.
            classes: number of classes.
            hidden: width of a token, a multiple of the 8 attention heads.
            landmarks: of the Nyström approximation.
            dropout: probability of dropping an output of an attention layer in training.
        """
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        self.class_token = nn.Parameter(torch.randn(1, hidden))
        self.first = AttentionLayer(hidden, landmarks, dropout)
        self.positions = GridEncoding(hidden)
        self.second = AttentionLayer(hidden, landmarks, dropout)
        self.norm = nn.LayerNorm(hidden)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, bag: Tensor) -> tuple[Tensor, Tensor]:
        """Classify one bag of (N, features), N > 0.

        Returns:
            (classes,) logits, and the (N,) attention that the class token pays to each patch in the second layer, in
            the mean over heads and scaled to sum to one. A patch that was repeated has that of its copies too. The
            approximation can be negative where the attention is nothing; that counts as nothing.
        """
        side = math.isqrt(len(bag) - 1) + 1
        copies = side**2 - len(bag)
        patches = self.embed(bag)
        tokens, _ = self.first(torch.cat([self.class_token, patches, patches[:copies]]))
        tokens = torch.cat([tokens[:1], self.positions(tokens[1:], side)])
        tokens, attention = self.second(tokens)
        shares = attention[1 : len(bag) + 1] + functional.pad(attention[len(bag) + 1 :], (0, len(bag) - copies))
        shares = shares.clamp(min=torch.finfo(shares.dtype).tiny)
        return self.classify(self.norm(tokens[0])), shares / shares.sum()

    def loss(self, bag: Tensor, target: int) -> Tensor:
        """Cross-entropy of one bag."""
        return functional.cross_entropy(self(bag)[0], torch.tensor(target, device=bag.device))


class GridEncoding(nn.Module):
    """Pyramid position encoding (PPEG): each channel plus its convolutions over 7 x 7, 5 x 5 and 3 x 3 tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, width, size, padding=size // 2, groups=width) for size in GRID_KERNELS
        )

    def forward(self, tokens: Tensor, side: int) -> Tensor:
        """Encode (side * side, width) tokens, which lie on a square row by row; the class token is not among them."""
        grid = tokens.T.unflatten(1, (side, side))
        # The sum of convolutions is one convolution with the sum of the kernels.
        widest = max(GRID_KERNELS)
        kernel = sum(
            functional.pad(layer.weight, [(widest - layer.kernel_size[0]) // 2] * 4) for layer in self.convolutions
        )
        bias = sum(layer.bias for layer in self.convolutions)
        encoded = grid + functional.conv2d(grid[None], kernel, bias, padding=widest // 2, groups=len(grid))[0]
        return encoded.flatten(1).T


class AttentionLayer(nn.Module):
    """X + dropout(W attention(norm(X)) + w), the attention being softmax(Q K' / sqrt(d)) V + convolution(V) in 8 heads.

    With more tokens than landmarks the softmax is approximated (Nyströmformer, Xiong et al. 2021, arXiv 2102.03902):
    softmax(Q L') softmax(M L')^+ softmax(M K'), where landmarks M and L are means of Q and K over as many runs of
    tokens, as equal in length as can be, and ^+ is the pseudo-inverse.
    """

    def __init__(self, width: int, landmarks: int, dropout: float) -> None:
        super().__init__()
        self.landmarks = landmarks
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.residual = nn.Conv2d(
            HEADS, HEADS, (RESIDUAL_TOKENS, 1), padding=(RESIDUAL_TOKENS // 2, 0), groups=HEADS, bias=False
        )
        self.output = nn.Linear(width, width)
        self.dropout = ByteDropout(dropout)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map (n, width) tokens to as many; also return the (n,) attention of the first, in the mean over heads."""
        queries, keys, values = self.project(self.norm(tokens)).unflatten(1, (3, HEADS, -1)).permute(1, 2, 0, 3)
        queries = queries / math.sqrt(queries.shape[2])
        if len(tokens) <= self.landmarks:
            weights = torch.softmax(queries @ keys.mT, dim=2)
            attended, first = weights @ values, weights[:, 0]
        else:
            queries_mean, keys_mean = run_means(queries, self.landmarks), run_means(keys, self.landmarks)
            left = torch.softmax(queries @ keys_mean.mT, dim=2)
            middle = pseudo_inverse(torch.softmax(queries_mean @ keys_mean.mT, dim=2))
            right = torch.softmax(queries_mean @ keys.mT, dim=2)
            attended = left @ (middle @ (right @ values))
            first = (left[:, :1] @ middle @ right).squeeze(1)
        attended = attended + self.residual(values[None])[0]
        return tokens + self.dropout(self.output(attended.transpose(0, 1).flatten(1))), first.mean(dim=0)


def run_means(tokens: Tensor, runs: int) -> Tensor:
    """Means of (heads, n, d) tokens over `runs` runs of n // runs tokens, the first n % runs of which have one more."""
    length, longer = divmod(tokens.shape[1], runs)
    cut = longer * (length + 1)
    means = (tokens[:, :cut].unflatten(1, (longer, length + 1)), tokens[:, cut:].unflatten(1, (runs - longer, length)))
    return torch.cat([part.mean(dim=2) for part in means], dim=1)


def pseudo_inverse(matrices: Tensor) -> Tensor:
    """Approximate the pseudo-inverse of (heads, m, m) matrices by 6 iterations of order three (Razavi et al. 2014).

    Z starts as A' / (|A|_1 |A|_inf); Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4.
    """
    scale = matrices.abs().sum(dim=1).amax(dim=1) * matrices.abs().sum(dim=2).amax(dim=1)
    inverse = matrices.mT / scale[:, None, None]
    one = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    for _ in range(PSEUDO_INVERSE_STEPS):
        product = matrices @ inverse
        inverse = inverse @ (13 * one - product @ (15 * one - product @ (7 * one - product))) / 4
    return inverse
