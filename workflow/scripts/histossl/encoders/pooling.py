"""How the tokens of a vision transformer become one vector."""

import torch
from torch import nn

from histossl.errors import UserError

POOLINGS = ("token", "avg", "cls_mean")


class Pooled(nn.Module):
    """A transformer whose tokens are pooled in another way than its own.

    `token` is the class token, `avg` the mean of the patch tokens, `cls_mean` the one beside the other, as Virchow and
    Midnight recommend. Registers are in none of them. All are of the tokens after the last normalisation.

    Its weights have the names of the network's own, so that they fit it with any pooling and with none.
    """

    def __init__(self, network: nn.Module, pooling: str) -> None:
        super().__init__()
        self.network, self.pooling = network, pooling

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B, D), or (B, 2 D) for `cls_mean`, of images (B, 3, H, W)."""
        tokens = self.network.forward_features(images)
        vectors = [tokens[:, 0]] if self.pooling != "avg" else []
        if self.pooling != "token":
            vectors.append(tokens[:, self.network.num_prefix_tokens :].mean(dim=1))
        return torch.cat(vectors, dim=1)

    def state_dict(self, *arguments, **named):  # noqa: ANN002, ANN003, ANN201
        """The network's."""
        return self.network.state_dict(*arguments, **named)

    def load_state_dict(self, *arguments, **named):  # noqa: ANN002, ANN003, ANN201
        """The network's."""
        return self.network.load_state_dict(*arguments, **named)


def pool_tokens(network: nn.Module, model: str, pooling: str) -> nn.Module:
    """`network` with its tokens pooled in one of `POOLINGS`; as it is where `pooling` is empty.

    Raises:
        UserError: there is no such pooling, or the network has no tokens for it.
    """
    if not pooling:
        return network
    if pooling not in POOLINGS:
        raise UserError(f"pooling {pooling!r} is not known; there are {', '.join(POOLINGS)}")
    prefix = getattr(network, "num_prefix_tokens", None)
    if prefix is None or isinstance(getattr(network, "norm", None), nn.Identity):
        raise UserError(f"encoder model {model!r} has no normalised tokens to pool; delete `pooling:`")
    if prefix == 0 and pooling != "avg":
        raise UserError(f"encoder model {model!r} has no class token; use `pooling: avg`, or delete `pooling:`")
    return Pooled(network, pooling)
