"""Masks over the tokens of a picture, in blocks (Bao et al. 2022, BEiT, arXiv 2106.08254)."""

import math

import torch

from histossl.ssl.share import Share

RECTANGLES = 32
SMALLEST_TOKENS = 4
LARGEST_ASPECT = 1 / 0.3


def draw_masks(share: Share, height: int, width: int, ratio: tuple[float, float], device: torch.device) -> torch.Tensor:
    """For one of the two global crops of each own sample a mask that covers `ratio` of its tokens; none for the other.

    Rectangles of random area (4 tokens up to the whole mask), aspect (0.3 to 1 / 0.3, its logarithm uniform) and place
    are laid until the mask has the size it was drawn to have. It differs from the code of DINOv2 in what would need a
    loop: each patch of tissue has one masked crop, instead of half of the batch's crops; sizes are uniform in `ratio`
    for each, not spread evenly over the batch; a rectangle is drawn without regard to what is left to cover, and the
    last one is filled from its top or bottom only as far as needed, so that a mask has exactly its size instead of up
    to it.

    Returns:
        (2, own, height, width) bool, True where a token is masked.
    """
    numbers = share.random(3 + 4 * RECTANGLES, device=device)
    low, high = ratio
    wanted = ((low + numbers[0] * (high - low)) * height * width).floor().clamp(min=1)
    of_second = numbers[1, :, None, None] < 0.5
    from_top = numbers[2, :, None] < 0.5

    area, aspect, top, left = numbers[3:].view(4, RECTANGLES, -1)
    smallest = wanted.clamp(max=SMALLEST_TOKENS)
    area = smallest + area * (wanted - smallest)
    aspect = torch.exp((2 * aspect - 1) * math.log(LARGEST_ASPECT))
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (top * (height - tall + 1)).floor()
    left = (left * (width - wide + 1)).floor()
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    in_rows = (rows >= top[..., None]) & (rows < (top + tall)[..., None])
    in_columns = (columns >= left[..., None]) & (columns < (left + wide)[..., None])
    inside = in_rows[..., :, None] & in_columns[..., None, :]

    rectangle = torch.arange(RECTANGLES, device=device).view(-1, 1, 1, 1)
    first = torch.where(inside, rectangle, RECTANGLES).amin(0).flatten(1)
    token = torch.arange(height * width, device=device)
    # The order in which tokens are covered; what no rectangle covers comes last.
    order = first * height * width + torch.where(from_top, token, token.flip(0))
    masks = (order.argsort(1).argsort(1) < wanted[:, None]).view(-1, height, width)
    return torch.stack([masks & ~of_second, masks & of_second])
