"""DSMIL (Li, Li and Eliceiri 2021, arXiv 2011.08939): attention by likeness to the patch that scores highest."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from histossl.mil.dropout import ByteDropout


class Dsmil(nn.Module):
    """Two streams over the patches h_1 ... h_N of a bag, with linear maps throughout.

    The first scores each patch, s_i = W h_i + w, and takes each class's highest score; the patch that has it is the
    class's critical one, m. The second attends to patches by their likeness to the critical one: queries q_i =
    Q h_i + q, values v_i = V h_i + v, a_i = softmax over i of <q_i, q_m> / sqrt(width of q), b = sum_i a_i v_i for
    each class; a convolution as long as b, its channels the classes, scores the bag. Logits are the mean of both.
    """

    def __init__(self, features: int, classes: int, query: int, dropout: float) -> None:
        """Build a head with fresh weights.

        Args:
            features: width of the patch features.
            classes: number of classes.
            query: width of the queries.
            dropout: probability of dropping a feature from the values in training.
        """
        super().__init__()
        self.score = nn.Linear(features, classes)
        self.query = nn.Linear(features, query)
        self.dropout = ByteDropout(dropout)
        self.value = nn.Linear(features, features)
        # A convolution that is as long as its input gives one number a channel: a linear layer.
        self.classify = nn.Linear(classes * features, classes)

    def forward(self, bag: Tensor) -> tuple[Tensor, Tensor]:
        """Classify one bag of (N, features), N > 0.

        Returns:
            (classes,) logits, and the (N,) attention of the class with the highest logit.
        """
        highest, bag_logits, attention = self.streams(bag)
        logits = (highest + bag_logits) / 2
        return logits, attention[logits.argmax(dim=0, keepdim=True)].squeeze(0)

    def loss(self, bag: Tensor, target: int) -> Tensor:
        """The mean of both streams' cross-entropies."""
        highest, bag_logits, _ = self.streams(bag)
        label = torch.tensor(target, device=bag.device)
        return (functional.cross_entropy(highest, label) + functional.cross_entropy(bag_logits, label)) / 2

    def streams(self, bag: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both streams of one bag of (N, features).

        Returns:
            (classes,) highest scores of a patch, (classes,) scores of the bag, (classes, N) attention.
        """
        highest, critical = self.score(bag).max(dim=0)
        # <q_i, q_m> is h_i . (Q' q_m) plus a term that all patches share, which softmax ignores; and the sum of values
        # is the value of the sum. So neither map need be applied to all patches.
        sought = self.query(bag[critical]) @ self.query.weight
        attention = torch.softmax(sought @ bag.T / math.sqrt(self.query.out_features), dim=1)
        pooled = self.value(attention @ self.dropout(bag))
        return highest, self.classify(pooled.flatten()), attention
