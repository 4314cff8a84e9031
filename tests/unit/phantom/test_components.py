import numpy as np
import pytest

from histossl.phantom.components import COMPONENTS, KnownSection
from histossl.phantom.patches import ARMS, draw_classes

COMMON = {"patch_px": 64, "spacing_um": 1.0, "seed": 5}


@pytest.fixture(scope="module")
def known():
    return list(draw_classes(ARMS["test"], 6, **COMMON, kind=KnownSection))


def test_patches_of_known_tissue_are_drawn_alike_to_the_last_bit(known):
    for one, other in zip(draw_classes(ARMS["test"], 6, **COMMON), known, strict=True):
        assert (one.name, one.target) == (other.name, other.target)
        np.testing.assert_array_equal(one.image, other.image)
        assert one.components == {}
        assert list(other.components) == list(COMPONENTS)


def covered(known, label, component):
    return np.mean([patch.components[component].mean() for patch in known if patch.label == label])


def test_components_lie_where_their_tissue_is(known):
    assert covered(known, "lymphocytes", "nuclei") > 0.3 > covered(known, "stroma", "nuclei") > 0.02
    assert covered(known, "tumour", "tumour cells") > 0.15
    assert covered(known, "muscle", "tumour cells") == 0
    assert covered(known, "stroma", "stroma") > 0.5 > covered(known, "muscle", "stroma")
    assert covered(known, "adipose", "lumen") > 0.4 > covered(known, "normal", "lumen") > 0.01
    assert all(covered(known, "background", name) < 0.15 for name in COMPONENTS)


def test_components_share_pixels_out_and_look_as_they_should(known):
    for patch in known:
        parts = patch.components
        assert (parts["stroma"] + parts["lumen"] + np.maximum(parts["nuclei"], parts["tumour cells"])).max() < 1 + 1e-5
        np.testing.assert_allclose(parts["tumour cells"].mean(), patch.target, atol=1e-5)
    grey = np.concatenate([patch.image.mean(axis=-1).ravel() for patch in known])
    mean = {
        name: grey[np.concatenate([patch.components[name].ravel() for patch in known]) > 0.9].mean()
        for name in COMPONENTS
    }
    assert mean["nuclei"] < mean["stroma"] - 40 < mean["lumen"] - 80
