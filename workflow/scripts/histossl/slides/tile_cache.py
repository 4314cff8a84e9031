"""Decoded tiles, kept while reading is near them."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

import numpy as np


class TileCache:
    """Keeps the tiles used last, up to a number of bytes; safe for threads. Nobody may write to a kept tile."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._tiles: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> np.ndarray | None:
        """The tile, or None where it is not kept."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: Hashable, tile: np.ndarray) -> None:
        """Keep a tile; those unused for longest go."""
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = tile
            self._bytes += tile.nbytes
            while self._bytes > self.max_bytes:
                _, gone = self._tiles.popitem(last=False)
                self._bytes -= gone.nbytes

    def clear(self) -> None:
        """Free all tiles."""
        with self._lock:
            self._tiles.clear()
            self._bytes = 0
