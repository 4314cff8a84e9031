import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from histossl.attention.components import BRIGHT, CHANCE, DARK, NO_MAPS, cover_tokens, score_heads, summarise_heads
from histossl.attention.maps_file import AttentionMaps

RNG = np.random.default_rng(0)
LABELS = RNG.random((400, 8, 8)) < 0.2


def test_a_planted_map_has_one_and_a_random_one_the_prevalence():
    planted = np.where(LABELS, 0.9, 0.1)
    random = RNG.random(LABELS.shape)
    best, chance, worst = score_heads(np.stack([planted, random, 1 - planted], axis=1), LABELS)
    assert best == pytest.approx(1, abs=0.05)  # patches of more positive tokens have less attention for each
    assert chance == pytest.approx(LABELS.mean(), abs=0.01)
    assert worst < chance
    even = np.zeros((3, 4, 4), bool)
    even[:, 0] = True  # as many in each patch
    assert score_heads(np.where(even, 0.9, 0.1)[:, None], even) == [pytest.approx(1)]


def test_a_patch_counts_by_how_its_attention_is_shared_out_not_by_how_much_there_is():
    maps = RNG.gamma(1, size=(50, 1, 8, 8))
    labels = LABELS[:50]
    scale = RNG.random((50, 1, 1, 1)) + 0.1
    assert score_heads(maps * scale, labels) == pytest.approx(score_heads(maps, labels))
    shares = maps / maps.sum(axis=(2, 3), keepdims=True)
    assert score_heads(maps, labels) == [pytest.approx(average_precision_score(labels.ravel(), shares.ravel()))]


def test_a_component_that_is_nowhere_has_no_score():
    assert score_heads(RNG.random((4, 2, 3, 3)), np.zeros((4, 3, 3), bool)) == [None, None]


def test_tokens_are_covered_by_the_mean_over_their_area():
    shares = RNG.random((5, 24, 24))
    blocks = shares.reshape(5, 6, 4, 6, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(cover_tokens(shares, 6), blocks)
    np.testing.assert_allclose(cover_tokens(shares, 4, 2 / 3), blocks[:, 1:5, 1:5])
    fine = np.kron(shares, np.ones((5, 5)))  # tokens that no pixels' edges meet
    np.testing.assert_allclose(cover_tokens(shares, 10), fine.reshape(5, 10, 12, 10, 12).mean(axis=(2, 4)))
    np.testing.assert_allclose(cover_tokens(shares, 48), np.kron(shares, np.ones((2, 2))))


def test_rows_are_heads_and_chance_with_patches_matched_by_name():
    shares = np.zeros((3, 8, 8))
    shares[1, :4], shares[2, :, :2] = 1, 1
    maps = np.stack([cover_tokens(shares[[2, 1]], 4), np.ones((2, 4, 4))], axis=1).astype(np.float32)
    pictures = np.repeat((200 - 100 * shares[[2, 1], ..., None]).astype(np.uint8), 3, axis=-1)  # it is darker
    rows = summarise_heads(
        AttentionMaps("a", ["third", "second"], pictures, maps + np.float32(1e-3)),
        ["first", "second", "third"],
        {"nuclei": shares, "lumen": 0 * shares},
    )
    assert [row["head"] for row in rows] == ["1", "2", DARK, BRIGHT, CHANCE]
    prevalence = (8 + 4) / 32
    one, two, dark, bright, chance = (row["nuclei"] for row in rows)
    assert one == dark == pytest.approx(1, abs=0.02)
    assert two == chance == pytest.approx(prevalence)
    assert bright < prevalence
    assert rows[0]["concentration"] > 0.1 > rows[1]["concentration"] == pytest.approx(0)
    assert [row["lumen"] for row in rows] == [None] * 4 + [0]
    (row,) = summarise_heads(AttentionMaps.none("b", "a ResNet"), ["first"], {"nuclei": shares})
    assert (row["encoder"], row["head"], row["nuclei"]) == ("b", NO_MAPS, None)
