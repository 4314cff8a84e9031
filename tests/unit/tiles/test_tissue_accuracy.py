"""The benchmark of tissue segmentation on a few slides of a seed that nothing was tuned on."""

import pytest
import tissue_accuracy
from defaults import default_tissue


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clean", "faint", "green", "blue", "black", "red", "fill", "empty", "empty blue"])
def test_slides_of_every_kind_are_within_the_bounds(kind):
    (score,) = tissue_accuracy.measure_all((kind,), 1, 901, default_tissue())
    assert score.holds(), score
    assert (score.patches > 30) == ("empty" not in kind)
