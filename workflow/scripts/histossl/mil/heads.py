"""Heads that judge a bag of patch features as a whole: gated attention, mean and max pooling.

All three share the embedding of the patches and the classifier and differ in the pooling alone, so that a difference
between them is a difference of pooling.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from histossl.mil.dropout import ByteDropout


class GatedAttentionPool(nn.Module):
    """Gated attention pooling, equations 8 and 9 of Ilse, Tomczak and Welling 2018 (arXiv 1802.04712).

    a = softmax over patches of w . (tanh(V h) * sigmoid(U h)); the bag is the sum of a_k h_k. V and U are one matrix
    product, V's rows first. Each further branch has a w of its own.
    """

    def __init__(self, width: int, attention: int, dropout: float, branches: int = 1) -> None:
        super().__init__()
        self.gates = nn.Linear(width, 2 * attention)
        # CLAM drops each factor with probability p; that drops the product with 1 - (1 - p)^2, in one draw.
        self.dropout = ByteDropout(1 - (1 - dropout) ** 2)
        self.score = nn.Linear(attention, branches)

    def attend(self, patches: Tensor) -> Tensor:
        """Return the attention that each branch pays to (N, width) patches: (branches, N), rows that sum to one."""
        content, gate = self.gates(patches).chunk(2, dim=1)
        scores = self.score(self.dropout(torch.tanh(content) * torch.sigmoid(gate)))
        return torch.softmax(scores.T, dim=1)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Pool (N, width) patches to (width,) by the first branch; also return its N attention weights."""
        attention = self.attend(patches)[0]
        return attention @ patches, attention


class MeanPool(nn.Module):
    """The mean of the patches; its attention is uniform."""

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Pool (N, width) patches to (width,); also return N equal weights."""
        return patches.mean(dim=0), patches.new_full((len(patches),), 1 / len(patches))


class MaxPool(nn.Module):
    """The largest value of each feature; the attention of a patch is the share of features that it supplies."""

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Pool (N, width) patches to (width,); also return N weights, which sum to one."""
        pooled, supplier = patches.max(dim=0)
        return pooled, torch.bincount(supplier, minlength=len(patches)) / patches.shape[1]


class BagClassifier(nn.Module):
    """Embed each patch, pool the bag, classify it.

    The layout is the small one of CLAM (Lu et al. 2021, arXiv 2004.09666) with one attention branch and without its
    instance loss: a ReLU layer of `hidden` units, gates of `attention` units, dropout after the layer and after
    each gate.
    """

    def __init__(
        self,
        model: str,
        features: int,
        classes: int,
        hidden: int,
        dropout: float,
        attention: int = 0,
    ) -> None:
        """Build a head with fresh weights.

        Args:
            model: `abmil`, `mean` or `max`.
            features: width of the patch features.
            classes: number of classes.
            hidden: units of the patch embedding.
            dropout: probability of dropping a unit in training.
            attention: units of each gate, of `abmil`; the others have none.
        """
        super().__init__()
        pools = {"abmil": lambda: GatedAttentionPool(hidden, attention, dropout), "mean": MeanPool, "max": MaxPool}
        self.embed = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), ByteDropout(dropout))
        self.pool = pools[model]()
        self.classify = nn.Linear(hidden, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, bag: Tensor) -> tuple[Tensor, Tensor]:
        """Classify one bag of (N, features), N > 0: return (classes,) logits and (N,) attention."""
        pooled, attention = self.pool(self.embed(bag))
        return self.classify(pooled), attention

    def loss(self, bag: Tensor, target: int) -> Tensor:
        """Cross-entropy of one bag of (N, features) whose class is `target`."""
        logits, _ = self(bag)
        return functional.cross_entropy(logits, torch.tensor(target, device=bag.device))
