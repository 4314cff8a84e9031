"""Haematoxylin and eosin as absorbing dyes: from dye concentrations to the colours a scanner records."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

# Dye concentrations are stored in 8 bits; 1.0 is the haematoxylin of a well-stained nucleus, 2.55 the most there is.
STEPS_PER_UNIT = 100


@dataclass(frozen=True)
class Stain:
    """How one laboratory stains and one scanner records.

    The colour vectors are optical densities in red, green, blue at concentration 1.
    """

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    haematoxylin_strength: float = 1.0
    eosin_strength: float = 1.0
    glass: tuple[float, float, float] = (243.0, 242.0, 244.0)
    blur_px: float = 0.6


REFERENCE = Stain(haematoxylin=(0.92, 1.10, 0.52), eosin=(0.17, 0.83, 0.50))

# Three laboratories: one close to the reference, one with blue haematoxylin and pale orange eosin, one overstained
# with purple haematoxylin and deep magenta eosin.
SITES: dict[str, Stain] = {
    "harbour": Stain(haematoxylin=(0.90, 1.06, 0.50), eosin=(0.16, 0.84, 0.46), eosin_strength=0.95),
    "hill": Stain(
        haematoxylin=(1.06, 1.00, 0.38),
        eosin=(0.09, 0.72, 0.60),
        haematoxylin_strength=0.90,
        eosin_strength=0.85,
        glass=(246.0, 245.0, 240.0),
        blur_px=0.75,
    ),
    "valley": Stain(
        haematoxylin=(0.82, 1.20, 0.62),
        eosin=(0.26, 0.98, 0.48),
        haematoxylin_strength=1.10,
        eosin_strength=1.15,
        glass=(238.0, 236.0, 242.0),
        blur_px=0.5,
    ),
}


def vary(stain: Stain, amount: float, rng: np.random.Generator) -> Stain:
    """Return `stain` as it comes out on another day: colours and strengths moved by about `amount` (relative).

    Args:
        stain: the laboratory's usual stain.
        amount: standard deviation of the relative change, e.g. 0.05.
        rng: source of randomness.
    """
    change = np.clip(rng.standard_normal(8), -2.0, 2.0) * amount
    return replace(
        stain,
        haematoxylin=tuple(np.array(stain.haematoxylin) * (1 + 0.5 * change[0:3])),
        eosin=tuple(np.array(stain.eosin) * (1 + 0.5 * change[3:6])),
        haematoxylin_strength=stain.haematoxylin_strength * (1 + change[6]),
        eosin_strength=stain.eosin_strength * (1 + change[7]),
    )


def colour(haematoxylin: np.ndarray, eosin: np.ndarray, stain: Stain) -> np.ndarray:
    """Turn dye concentrations into colours by the Beer-Lambert law.

    Light left over after two dyes is the product of what each lets through (Ruifrok and Johnston 2001, Anal Quant
    Cytol Histol 23:291), so one table per dye and channel is enough.

    Args:
        haematoxylin: (H, W) uint8, `STEPS_PER_UNIT` per unit of concentration.
        eosin: same for eosin.
        stain: colour vectors, strengths and the colour of bare glass.

    Returns:
        (H, W, 3) uint8, red, green, blue.
    """
    concentration = np.arange(256) / STEPS_PER_UNIT
    tables = [
        (
            np.round(255 * np.exp(-concentration * stain.haematoxylin[channel] * stain.haematoxylin_strength)),
            np.round(stain.glass[channel] * np.exp(-concentration * stain.eosin[channel] * stain.eosin_strength)),
        )
        for channel in range(3)
    ]
    tables = [(h_light.astype(np.uint8), e_light.astype(np.uint8)) for h_light, e_light in tables]
    image = np.empty((*haematoxylin.shape, 3), np.uint8)
    strip = 128  # rows at a time, so that the intermediate arrays stay in the processor's cache
    for top in range(0, len(image), strip):
        h_part, e_part = haematoxylin[top : top + strip], eosin[top : top + strip]
        light = [cv2.multiply(cv2.LUT(h_part, h), cv2.LUT(e_part, e), scale=1 / 255) for h, e in tables]
        image[top : top + strip] = cv2.merge(light)
    return image
