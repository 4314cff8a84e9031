"""The benchmark of tissue segmentation on a few slides of a seed that nothing was tuned on."""

import importlib.util
import sys
from pathlib import Path

import pytest

from histossl.tiles.tissue import TissueSettings

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "tissue_accuracy.py"
# The schema's defaults.
SETTINGS = {"spacing_um": 16.0, "smooth_um": 28.0, "min_area_mm2": 0.01, "min_hole_mm2": 0.002}


@pytest.fixture(scope="module")
def benchmark_module():
    specification = importlib.util.spec_from_file_location("tissue_accuracy", BENCHMARK)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clean", "faint", "green", "blue", "black", "red", "fill", "empty", "empty blue"])
def test_slides_of_every_kind_are_within_the_bounds(benchmark_module, tissue_settings, kind):
    settings = TissueSettings(**{**tissue_settings, **SETTINGS})
    (score,) = benchmark_module.measure_all((kind,), 1, 901, settings)
    assert score.holds(), score
    assert (score.patches > 30) == ("empty" not in kind)
