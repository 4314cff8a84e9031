import numpy as np

from histossl.tiles.sample import sample_coords

COORDS = np.arange(2000).reshape(1000, 2)


def test_the_same_seed_and_slide_give_the_same_draw():
    first = sample_coords(COORDS, 50, 1, "a")
    np.random.default_rng(0).random(9)
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(first, sample_coords(COORDS, 50, 1, "a"))


def test_seed_and_slide_each_change_the_draw():
    first = sample_coords(COORDS, 50, 1, "a")
    assert not np.array_equal(first, sample_coords(COORDS, 50, 2, "a"))
    assert not np.array_equal(first, sample_coords(COORDS, 50, 1, "b"))


def test_rows_are_distinct_of_the_slide_and_in_their_old_order():
    drawn = sample_coords(COORDS, 400, 1, "ü")
    assert drawn.shape == (400, 2)
    assert (np.diff(drawn[:, 0]) > 0).all()
    assert set(map(tuple, drawn)) <= set(map(tuple, COORDS))


def test_all_rows_are_equally_likely():
    hits = np.zeros(1000)
    for seed in range(200):
        hits[sample_coords(COORDS, 500, seed, "a")[:, 0] // 2] += 1
    assert abs(hits[:500].mean() - hits[500:].mean()) < 3
    assert hits.min() > 60
    assert hits.max() < 140


def test_fewer_than_asked_for_or_no_limit_takes_all():
    for at_most in (None, 1000, 5000):
        np.testing.assert_array_equal(sample_coords(COORDS, at_most, 1, "a"), COORDS)
    assert sample_coords(np.zeros((0, 2), np.int64), 10, 1, "a").shape == (0, 2)
