import numpy as np

from histossl.slides.tile_cache import TileCache

TILE = np.zeros(100, np.uint8)


def test_those_unused_for_longest_go_first():
    cache = TileCache(300)
    for key in "abc":
        cache.put(key, TILE)
    assert cache.get("a") is TILE
    cache.put("d", TILE)
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]


def test_putting_twice_counts_once():
    cache = TileCache(200)
    for _ in range(5):
        cache.put("a", TILE)
    cache.put("b", TILE)
    assert cache.get("a") is not None and cache.get("b") is not None


def test_a_tile_larger_than_the_cache_is_not_kept():
    cache = TileCache(50)
    cache.put("a", TILE)
    assert cache.get("a") is None
    cache.max_bytes = 100
    cache.put("a", TILE)
    assert cache.get("a") is TILE


def test_clear_forgets_all():
    cache = TileCache(1000)
    cache.put("a", TILE)
    cache.clear()
    assert cache.get("a") is None
    for key in range(10):
        cache.put(key, TILE)
    assert cache.get(0) is not None
