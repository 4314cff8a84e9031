"""Nearest neighbours in float64 for the price of float32 products, in little memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Singles, Doubles, Indices = NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]

ROUNDING = 2.0**-24
"""Largest relative error of one float32 operation."""
QUERIES, POINTS = 8192, 512
"""Of one product: 16 MB of scores a thread."""
PAIRS = 4096
"""How many distances are computed at once."""
MOST_CANDIDATES = 2**19
"""How many wait until their distances are computed; that many there are only where very many points are alike."""
SAMPLE = 4096, 128
"""Points and queries by which the number of components is chosen."""
PAIR_COST = 100.0
"""Of one distance in float64, relative to one score of all components."""


def nearest(points: Singles, queries: Singles, k: int, metric: str, threads: int = 1) -> tuple[Indices, Doubles]:
    """The `k` points nearest to each query, by distances in float64; equal ones in the order of the points.

    Distances are computed for few pairs. Products of blocks in float32 give each pair a bound from below: its distance
    in some principal components of the points, less what rounding can have added (the bound on inner products of
    Higham 2002, section 3.1). A point is dropped where that is beyond the k-th best distance so far, so that the
    neighbours are those of a search in float64 throughout. The fewer components do, the faster it is; a sample tells.

    Args:
        points: (N, D) float32, finite.
        queries: (Q, D) float32, finite.
        k: at most N.
        metric: `euclidean`, or `cosine`: 1 - cosine, 1 for a point or query of length 0 as in scikit-learn.
        threads: blocks of queries that are worked on at once; the result does not depend on it.

    Returns:
        Indices of the points (Q, k), nearest first, and the distances (Q, k).
    """
    search = _Search(points, queries, k, metric)
    size = min(QUERIES, -(-len(queries) // threads))
    blocks = [np.arange(part.start, part.stop) for part in _parts(len(queries), size)]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(search.block, blocks))
    return np.concatenate([index for index, _ in found]), np.concatenate([distance for _, distance in found])


class _Search:
    """What all blocks of queries share."""

    def __init__(self, points: Singles, queries: Singles, k: int, metric: str) -> None:
        self.points, self.queries, self.k, self.cosine = points, queries, k, metric == "cosine"
        self.point_scale, self.query_scale = self._scales(points), self._scales(queries)
        # Around 0 rounding is small against distances, however alike the features are.
        self.centre = np.zeros(points.shape[1], np.float32)
        total = sum(self._centred(points, self.point_scale, part).sum(0, np.float64) for part in _parts(len(points)))
        self.centre = (total / len(points)).astype(np.float32)
        self.axes = self._choose_axes()
        lengths = [_squares(self._centred(points, self.point_scale, part)).max() for part in _parts(len(points))]
        self.radius = float(np.sqrt(max(lengths))) * (1 + 1e-3)
        """No centred point is longer."""

    def block(self, rows: Indices) -> tuple[Indices, Doubles]:
        """Neighbours and distances of some queries."""
        centred = self._centred(self.queries, self.query_scale, rows)
        own = self._project(centred)
        left = np.column_stack([own, np.ones(len(own), np.float32)])
        right = np.empty((POINTS, left.shape[1]), np.float32)
        scores = np.empty(len(own) * POINTS, np.float32)
        index, distance = np.zeros((len(rows), self.k), np.int64), np.full((len(rows), self.k), np.inf)
        limits = self._limits(distance[:, -1], centred, own)
        waiting: list[tuple[Indices, Indices]] = []
        for number, piece in enumerate(_parts(len(self.points), POINTS), start=1):
            width = piece.stop - piece.start
            right[:width, :-1] = self._project(self._centred(self.points, self.point_scale, piece))
            right[:width, -1] = -_squares(right[:width, :-1]) / 2
            # Inner product less half the point's square: the higher, the nearer.
            score = np.matmul(left, right[:width].T, out=scores[: len(own) * width].reshape(len(own), width))
            if number == 1 and width > self.k:
                best = [np.argpartition(score[part], -self.k, axis=1)[:, -self.k :] for part in _parts(len(own), 128)]
                some = np.repeat(np.arange(len(own)), self.k), np.concatenate(best).ravel()
                limits = self._limits(self._judge(rows, [some], index, distance)[1][:, -1], centred, own)
            passed = np.flatnonzero(score.max(axis=1) >= limits)
            hits = np.flatnonzero(score[passed] >= limits[passed, None])
            waiting.append((passed[hits // width], piece.start + hits % width))
            # Each time twice as much has been seen: what passes in between is about k more for each query.
            if number & (number - 1) == 0 or sum(len(query) for query, _ in waiting) > MOST_CANDIDATES:
                index, distance = self._judge(rows, waiting, index, distance)
                limits, waiting = self._limits(distance[:, -1], centred, own), []
        return self._judge(rows, waiting, index, distance)

    def _scales(self, rows: Singles) -> Doubles:
        """What each row is multiplied by: 1, or with cosine what makes its length 1 (0 for a row of zeros)."""
        if not self.cosine:
            return np.ones(len(rows))
        lengths = np.concatenate([np.sqrt(_squares(rows[part].astype(np.float64))) for part in _parts(len(rows))])
        return np.divide(1, lengths, out=np.zeros(len(rows)), where=lengths > 0)

    def _centred(self, rows: Singles, scale: Doubles, part: slice | Indices) -> Singles:
        if not self.cosine:
            return rows[part] - self.centre
        return rows[part] * scale[part, None].astype(np.float32) - self.centre

    def _project(self, centred: Singles) -> Singles:
        return centred if self.axes is None else centred @ self.axes

    def _choose_axes(self) -> Singles | None:
        """Principal axes (D, d) that make the search cheapest, judged by a sample; None for no projection at all."""
        count, features = self.points.shape
        if count * len(self.queries) < 50 * features**2 or count < 4 * SAMPLE[0]:
            return None
        every, asked = count // SAMPLE[0], max(1, len(self.queries) // SAMPLE[1])
        sample = self._centred(self.points, self.point_scale, np.arange(0, count, every)).astype(np.float64)
        queries = self._centred(self.queries, self.query_scale, np.arange(0, len(self.queries), asked))
        axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1]
        turned, turned_queries = sample @ axes, queries.astype(np.float64) @ axes
        shares = {part: max(1, features // part) for part in (16, 8, 4, 2)}
        nearest_square = _square_distances(turned_queries, turned).min(axis=1, keepdims=True)
        costs = {features: 1.0}
        for width in shares.values():
            passed = _square_distances(turned_queries[:, :width], turned[:, :width]) <= nearest_square
            costs[width] = width / features + PAIR_COST * float(passed.mean())
        width = min(costs, key=costs.__getitem__)
        if width == features:
            return None
        chosen = axes[:, :width].astype(np.float32)
        # No vector may become longer.
        return (chosen / np.float32(np.linalg.norm(chosen.astype(np.float64), 2) * (1 + 1e-6))).astype(np.float32)

    def _limits(self, kth: Doubles, centred: Singles, own: Singles) -> Singles:
        """The score below which a point is farther than the k-th best distance `kth` (Q,) of each query."""
        terms, unit = self.points.shape[1] + 8, 1.1 * ROUNDING
        lengths = np.sqrt(_squares(centred.astype(np.float64)))
        # What rounding adds to a distance: in centring and, of each component, in projection.
        moved = unit * (2 if self.axes is None else 2 + terms * np.sqrt(own.shape[1])) * (lengths + self.radius)
        if self.cosine:
            moved += 8 * unit  # vectors of length 1, before they are centred
            kth = np.sqrt(2 * np.maximum(kth, 0) + 1e-13)
        # And to a score: in the product of d + 1 terms, one of which is half a square.
        error = unit * (own.shape[1] + 8) * (lengths * self.radius + self.radius**2)
        limits = (_squares(own.astype(np.float64)) - (kth + moved) ** 2) / 2 - error
        return np.nextafter(limits.astype(np.float32), np.float32(-np.inf))

    def _judge(
        self, rows: Indices, waiting: list[tuple[Indices, Indices]], index: Indices, distance: Doubles
    ) -> tuple[Indices, Doubles]:
        """Neighbours of the queries `rows` after the pairs that wait, and their distances; infinite where too few."""
        query, point = (
            (np.concatenate(side) for side in zip(*waiting, strict=True)) if waiting else (np.empty(0, int),) * 2
        )
        computed = [self._distances(rows[query[part]], point[part]) for part in _parts(len(query), PAIRS)]
        known = np.isfinite(distance)
        query = np.concatenate([np.nonzero(known)[0], query])
        point = np.concatenate([index[known], point])
        distances = np.concatenate([distance[known], *computed])
        order = np.lexsort((point, distances, query))
        query, point, distances = query[order], point[order], distances[order]
        repeated = np.r_[False, (query[1:] == query[:-1]) & (point[1:] == point[:-1])]
        query, point, distances = query[~repeated], point[~repeated], distances[~repeated]
        place = np.arange(len(query)) - np.searchsorted(query, query)
        best = place < self.k
        index, distance = np.zeros_like(index), np.full_like(distance, np.inf)
        index[query[best], place[best]] = point[best]
        distance[query[best], place[best]] = distances[best]
        return index, distance

    def _distances(self, query: Indices, point: Indices) -> Doubles:
        asked, other = self.queries[query].astype(np.float64), self.points[point].astype(np.float64)
        if self.cosine:
            return 1 - np.einsum("nd,nd->n", asked, other) * self.query_scale[query] * self.point_scale[point]
        asked -= other
        return np.sqrt(_squares(asked))


def _parts(count: int, size: int = 2048) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _squares(rows: NDArray) -> NDArray:
    return np.einsum("nd,nd->n", rows, rows)


def _square_distances(queries: Doubles, points: Doubles) -> Doubles:
    return _squares(queries)[:, None] + _squares(points) - 2 * queries @ points.T
