import cv2
import numpy as np
import pytest

from histossl.phantom.patches import ARMS, draw_classes
from histossl.stain.normaliser import is_blank

STAINS = np.array([[0.65, 0.27], [0.70, 0.57], [0.29, 0.78]])


@pytest.fixture(scope="session")
def tissue():
    """(N, 128, 128, 3): drawn tissue of three laboratories' stains; blank patches are left out."""
    drawn = np.stack([patch.image for patch in draw_classes(ARMS["raw"], 4, 128, 0.5, seed=2)])
    return drawn[[not is_blank(patch) for patch in drawn]]


@pytest.fixture(scope="session")
def reference():
    (patch,) = (p.image for p in draw_classes(ARMS["normalised"], 1, 128, 0.5, seed=9) if p.label == "tumour")
    return patch


@pytest.fixture
def write_picture(tmp_path):
    def write(picture, name="reference.png"):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return str(tmp_path / name)

    return write


@pytest.fixture
def odd_patches():
    """Patches that no stain can be told of, by name."""
    rng = np.random.default_rng(0)
    specks = np.full((128, 128, 3), 243, np.uint8)
    specks[::16, ::32] = (90, 60, 120)
    return {
        "white": np.full((128, 128, 3), 255, np.uint8),
        "black": np.zeros((128, 128, 3), np.uint8),
        "one colour": np.full((128, 128, 3), (150, 90, 160), np.uint8),
        "grey glass with noise": rng.integers(196, 216, (128, 128, 3)).astype(np.uint8),
        "glass with specks": specks,
        "half black": np.vstack([np.zeros((64, 128, 3), np.uint8), np.full((64, 128, 3), 255, np.uint8)]),
    }


def compose(amounts, stains=STAINS):
    """(H, W, 3) uint8 of pixels (H, W, 2) that hold so much of two stains, by the Beer-Lambert law."""
    return np.round(240 * np.exp(-amounts @ (stains / np.linalg.norm(stains, axis=0)).T) - 1).astype(np.uint8)
