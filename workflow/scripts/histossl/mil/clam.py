"""CLAM (Lu et al. 2021, arXiv 2004.09666): gated attention that also learns from the patches at its two ends.

What the paper leaves open is taken from its authors' code; docs/mil.md says where we depart from it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from histossl.mil.dropout import ByteDropout
from histossl.mil.heads import GatedAttentionPool


class ClamSB(nn.Module):
    """CLAM with a single attention branch (CLAM-SB), in the small layout: D features, 512 hidden units, gates of 256.

    h = ReLU(W x), a = softmax over patches of w . (tanh(V h) * sigmoid(U h)), logits = C sum_k a_k h_k + c. Each class
    also has an instance classifier of two outputs, which exists in training alone: see `instance_loss`.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: int,
        attention: int,
        dropout: float,
        instance_loss: str,
        instance_weight: float,
        instance_patches: int,
        subtyping: bool,
    ) -> None:
        """Build a head with fresh weights.

        Args:
            features: width of the patch features.
            classes: number of classes.
            hidden: units of the patch embedding.
            attention: units of each attention gate.
            dropout: probability of dropping a unit of the embedding or of a gate in training.
            instance_loss: `svm` (smooth top-1 SVM) or `cross_entropy`.
            instance_weight: share of the instance loss in the loss; the bag's cross-entropy has the rest.
            instance_patches: B, the number of patches at either end of the attention that get a label.
            subtyping: whether classes exclude each other, so that what the other classes attend to most is not theirs.
        """
        super().__init__()
        self.patch_loss = {"svm": smooth_svm, "cross_entropy": functional.cross_entropy}[instance_loss]
        self.instance_weight, self.instance_patches, self.subtyping = instance_weight, instance_patches, subtyping
        self.embed = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), ByteDropout(dropout))
        self.pool = GatedAttentionPool(hidden, attention, dropout, self.branches(classes))
        self.classify = nn.Linear(hidden, classes)
        self.instances = nn.ModuleList(nn.Linear(hidden, 2) for _ in range(classes))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    @staticmethod
    def branches(classes: int) -> int:
        """How many attention branches a head of so many classes has."""
        return 1

    def forward(self, bag: Tensor) -> tuple[Tensor, Tensor]:
        """Classify one bag of (N, features), N > 0.

        Returns:
            (classes,) logits, and the (N,) attention of the branch that judges the class with the highest logit.
        """
        patches = self.embed(bag)
        attention = self.pool.attend(patches)
        logits = self.judge(patches, attention)
        return logits, attention.expand(len(logits), -1)[logits.argmax(dim=0, keepdim=True)].squeeze(0)

    def judge(self, patches: Tensor, attention: Tensor) -> Tensor:
        """Logits of (N, hidden) patches under (branches, N) attention; a class looks at the bag of its own branch."""
        return (self.classify.weight * (attention @ patches)).sum(dim=1) + self.classify.bias

    def loss(self, bag: Tensor, target: int) -> Tensor:
        """(1 - w) times the bag's cross-entropy plus w times the instance loss, w being `instance_weight`."""
        patches = self.embed(bag)
        attention = self.pool.attend(patches)
        bag_loss = functional.cross_entropy(self.judge(patches, attention), torch.tensor(target, device=bag.device))
        instance_loss = self.instance_loss(patches, attention, target)
        return (1 - self.instance_weight) * bag_loss + self.instance_weight * instance_loss

    def instance_loss(self, patches: Tensor, attention: Tensor, target: int) -> Tensor:
        """Loss of the instance classifiers on the patches at either end of the attention.

        The classifier of the bag's class learns that the B most attended patches are of the class (1) and the B least
        attended are not (0). With `subtyping` every other class's classifier learns that the B patches which its
        branch attends to most are not of its class (0), and the loss is the mean over classes.

        B is at most N // 2 and both ends come from one ranking, so that no patch gets both labels; a bag of one patch
        has no instance loss. No gradient flows through the ranking.

        Args:
            patches: (N, hidden) embedded patches.
            attention: (branches, N) attention.
            target: the bag's class.
        """
        count = min(self.instance_patches, len(patches) // 2)
        if not count:
            return patches.new_zeros(())
        ranking = attention.detach().argsort(dim=1, descending=True, stable=True).expand(len(self.instances), -1)
        losses = []
        for index, (classifier, order) in enumerate(zip(self.instances, ranking, strict=True)):
            if index == target:
                chosen = torch.cat([order[:count], order[-count:]])
                labels = (torch.arange(2 * count, device=patches.device) < count).long()
                losses.append(self.patch_loss(classifier(patches[chosen]), labels))
            elif self.subtyping:
                labels = torch.zeros(count, dtype=torch.int64, device=patches.device)
                losses.append(self.patch_loss(classifier(patches[order[:count]]), labels))
        return torch.stack(losses).mean()


class ClamMB(ClamSB):
    """CLAM with multiple branches (CLAM-MB): each class has an attention branch and judges the bag by it alone."""

    @staticmethod
    def branches(classes: int) -> int:
        """One attention branch a class."""
        return classes


def smooth_svm(scores: Tensor, labels: Tensor) -> Tensor:
    """Smooth top-1 support vector machine loss (Berrada, Zisserman and Kumar 2018, arXiv 1802.07595), tau = alpha = 1.

    log sum_j exp(s_j + [j is not y]) - s_y, in the mean over samples: cross-entropy with a margin of one.

    Args:
        scores: (samples, classes).
        labels: (samples,) index of each sample's class.
    """
    margin = 1 - functional.one_hot(labels, scores.shape[1])
    return functional.cross_entropy(scores + margin, labels)
