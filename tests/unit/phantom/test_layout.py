import numpy as np
import pytest
from scipy import ndimage

from histossl.phantom.layout import PEN_UM, SHARES, TISSUE_SHARE, draw_pen, draw_regions, draw_tissue
from histossl.phantom.section import CLASSES, CODE

PITCH_UM = 8.0
SHAPE = (250, 320)


@pytest.mark.parametrize("seed", range(6))
def test_tissue_covers_its_share_in_few_large_pieces(seed):
    tissue = draw_tissue(SHAPE, PITCH_UM, np.random.default_rng(seed))
    assert TISSUE_SHARE[0] - 0.01 <= tissue.mean() <= TISSUE_SHARE[1] + 0.01
    labels, _ = ndimage.label(tissue)
    sizes = np.bincount(labels.ravel())[1:]
    large = sizes > 0.05 * tissue.sum()
    assert 1 <= large.sum() <= 4
    assert sizes[large].sum() > 0.9 * tissue.sum()


@pytest.mark.parametrize("seed", range(4))
def test_every_class_takes_its_share_of_the_tissue_and_none_of_the_glass(seed):
    rng = np.random.default_rng(seed)
    tissue = draw_tissue(SHAPE, PITCH_UM, rng)
    regions = draw_regions(tissue, PITCH_UM, rng)
    assert ((regions == CODE["background"]) == ~tissue).all()
    for name in CLASSES[1:]:
        share = (regions == CODE[name]).sum() / tissue.sum()
        least, most = SHARES.get(name, (0.1, 0.8))
        assert least - 0.01 <= share <= most + 0.01


def test_the_pen_leaves_a_line_of_its_width():
    tissue = draw_tissue(SHAPE, PITCH_UM, np.random.default_rng(1))
    inked = draw_pen(tissue, PITCH_UM, np.random.default_rng(2)) > 64
    assert 0.01 < inked.mean() < 0.2
    widest_um = 2 * ndimage.distance_transform_edt(inked).max() * PITCH_UM
    assert 0.7 * PEN_UM < widest_um < 2 * PEN_UM
