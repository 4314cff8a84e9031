import numpy as np
import pytest
from scipy.stats import percentileofscore

from histossl.errors import UserError
from histossl.heatmaps.attention import OutOfFold, find_problem, list_tested, rank_attention, read_attention
from tests.unit.judged_run import COORDS, Judgement, falling, write_run


def test_ranks_are_percentiles_of_a_score():
    attention = np.random.default_rng(1).integers(0, 20, 60) / 100  # with ties
    expected = percentileofscore(attention, attention, kind="mean")
    np.testing.assert_allclose(rank_attention(attention), expected, atol=1e-12)


def test_what_was_stored_is_read(tmp_path, drawn_slide):
    own = write_run(tmp_path, drawn_slide.path, [Judgement("x", "a", 2, 0.1), Judgement("y", "b", 0, 0.9, falling(3))])
    seed, tested = list_tested(own / "attention.h5")
    assert (seed, tested) == (3, {"x": OutOfFold(2, len(COORDS)), "y": OutOfFold(0, 3)})
    assert list_tested(own / "attention.h5", "y") == (3, {"y": OutOfFold(0, 3)})
    assert list_tested(own / "attention.h5", "z") == (3, {})
    attention, coords = read_attention(own / "attention.h5", "y")
    np.testing.assert_array_equal(attention, falling(3))
    np.testing.assert_array_equal(coords, COORDS[:3])


def test_a_damaged_file_or_a_slide_that_is_not_there_is_named(tmp_path, drawn_slide):
    own = write_run(tmp_path, drawn_slide.path, [Judgement("x", "a", 2, 0.1)])
    with pytest.raises(UserError, match=r"attention\.h5: attention of 'z' cannot be read"):
        read_attention(own / "attention.h5", "z")
    (own / "attention.h5").write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="not a readable attention file"):
        list_tested(own / "attention.h5")


@pytest.mark.parametrize(
    ("attention", "said"),
    [
        ([], "no patches"),
        ([1.0], "one patch"),
        ([0.5, 0.5], "the same attention"),
        ([np.nan, 1], "finite"),
        ([0.4, 0.6], ""),
    ],
)
def test_attention_that_tells_nothing_has_its_sentence(attention, said):
    problem = find_problem(np.array(attention, np.float32))
    assert said in problem
    assert bool(problem) == bool(said)
