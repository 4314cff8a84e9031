"""Nearest neighbours in float64 for the price of float32 products, in little memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Singles, Doubles, Indices = NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]

ROUNDING = 2.0**-24
"""Largest relative error of one float32 operation."""
QUERIES, POINTS = 2048, 2048
"""Queries and points of one product: 16 MB of scores a thread."""
PAIRS = 256
"""How many distances in float64 are computed at once, in a processor's cache."""
MOST_CANDIDATES = 2**20
"""Of one block of queries; beyond, they are judged in float64 at once, which many equal points need alone."""


class Candidates(NamedTuple):
    """Pairs of a query and a point that may be its neighbour."""

    query: Indices
    point: Indices
    score: Singles

    def take(self, chosen: NDArray[np.bool_] | Indices) -> "Candidates":
        """Those that are chosen."""
        return Candidates(*(column[chosen] for column in self))


def nearest(points: Singles, queries: Singles, k: int, metric: str, threads: int = 1) -> tuple[Indices, Doubles]:
    """The `k` points nearest to each query, by distances in float64; equal ones in the order of the points.

    Products of blocks in float32 leave few candidates: a point is dropped where its score is worse than the k-th best
    by more than rounding can explain (the bound on inner products of Higham 2002, section 3.1). The distances of the
    others are computed in float64, so that the neighbours are those of a search in float64 throughout. Both sides are
    centred first, which moves no distance and keeps the bound small where all features look alike.

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
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(search.block, range(0, len(queries), QUERIES)))
    return np.concatenate([index for index, _ in found]), np.concatenate([distance for _, distance in found])


class _Search:
    """What all blocks of queries share."""

    def __init__(self, points: Singles, queries: Singles, k: int, metric: str) -> None:
        self.points, self.queries, self.k, self.cosine = points, queries, k, metric == "cosine"
        self.point_scale, self.query_scale = self._scales(points), self._scales(queries)
        self.centre = np.zeros(points.shape[1], np.float32)
        # In pieces: a mean over a scaled copy of all points would need its memory.
        total = sum(self._centred(points, self.point_scale, part).sum(0, np.float64) for part in _parts(len(points)))
        self.centre = (total / len(points)).astype(np.float32)
        norms = [_square_norms(self._centred(points, self.point_scale, part)) for part in _parts(len(points))]
        squares = np.concatenate(norms)
        self.radius = float(np.sqrt(squares.max()))
        # A point of length 0 is as far as a right angle, where its centred distance would be that of 60 degrees.
        self.half_squares = ((squares + (self.point_scale == 0)) / 2).astype(np.float32)

    def block(self, first: int) -> tuple[Indices, Doubles]:
        """Neighbours and distances of the queries from `first` on."""
        part = slice(first, min(first + QUERIES, len(self.queries)))
        own = self._centred(self.queries, self.query_scale, part)
        slack = self._slack(np.sqrt(_square_norms(own)))
        # Score: inner product minus half the point's square, which falls as the distance grows.
        left = np.column_stack([own, np.ones(len(own), np.float32)])
        right = np.empty((POINTS, left.shape[1]), np.float32)
        scores = np.empty(len(own) * POINTS, np.float32)
        least = np.full(len(own), -np.inf, np.float32)
        kept = Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        found: list[Candidates] = []
        for number, piece in enumerate(_parts(len(self.points)), start=1):
            width = piece.stop - piece.start
            right[:width, :-1] = self._centred(self.points, self.point_scale, piece)
            right[:width, -1] = -self.half_squares[piece]
            score = scores[: len(own) * width].reshape(len(own), width)
            np.matmul(left, right[:width].T, out=score)
            if number == 1 and width > self.k:
                least = _kth_best(score, self.k) - slack
            passing = np.flatnonzero(score.max(axis=1) >= least)
            high = score[passing]
            hits = np.flatnonzero(high >= least[passing, None])
            found.append(Candidates(passing[hits // width], piece.start + hits % width, high.ravel()[hits]))
            # Each time twice as much has been seen: what passes in between is about k more for each query.
            if number & (number - 1) == 0 or sum(len(some.query) for some in found) > MOST_CANDIDATES:
                kept, least = self._prune(_join([kept, *found]), least, slack, part.start)
                found = []
        kept, _ = self._prune(_join([kept, *found]), least, slack, part.start)
        index, distance = self._rank(kept, part.start)
        return index.reshape(-1, self.k), distance.reshape(-1, self.k)

    def _scales(self, rows: Singles) -> Doubles:
        """What each row is multiplied by: 1, or with cosine what makes its length 1 (0 for a row of zeros)."""
        if not self.cosine:
            return np.ones(len(rows))
        lengths = np.concatenate([np.sqrt(_square_norms(rows[part].astype(np.float64))) for part in _parts(len(rows))])
        return np.divide(1, lengths, out=np.zeros(len(rows)), where=lengths > 0)

    def _centred(self, rows: Singles, scale: Doubles, part: slice) -> Singles:
        if not self.cosine:
            return rows[part] - self.centre
        return rows[part] * scale[part, None].astype(np.float32) - self.centre

    def _slack(self, lengths: Singles) -> Singles:
        """How far scores of equal distances may lie apart, for queries of such lengths from the centre: (Q,).

        Twice the error of a score: the products of D + 1 terms, the rounding of both centred vectors and of the
        square; with cosine also that of the unit vectors, whose length is 1 before they are centred.
        """
        terms = self.points.shape[1] + 16
        spread = lengths.astype(np.float64) * self.radius + self.radius**2
        unit = 4 * (lengths + self.radius) if self.cosine else 0.0
        # One float32 upwards, since the threshold itself is rounded.
        return np.nextafter((2.1 * ROUNDING * (terms * spread + unit)).astype(np.float32), np.float32(np.inf))

    def _prune(self, pairs: Candidates, least: Singles, slack: Singles, first: int) -> tuple[Candidates, Singles]:
        """The pairs that may still win, and the least score that does."""
        pairs = pairs.take(np.lexsort((-pairs.score, pairs.query)))
        starts = np.searchsorted(pairs.query, np.arange(len(least)))
        enough = np.diff(np.r_[starts, len(pairs.query)]) >= self.k
        least = least.copy()
        best = pairs.score[starts[enough] + self.k - 1]
        least[enough] = np.maximum(least[enough], best - slack[enough])
        pairs = pairs.take(pairs.score >= least[pairs.query])
        if len(pairs.query) > MOST_CANDIDATES:
            pairs = self._winners(pairs, first)[0]
        return pairs, least

    def _rank(self, pairs: Candidates, first: int) -> tuple[Indices, Doubles]:
        winners, distances = self._winners(pairs, first)
        return winners.point, distances

    def _winners(self, pairs: Candidates, first: int) -> tuple[Candidates, Doubles]:
        """At most k pairs of each query by distance in float64, then by the point's index; with the distances."""
        distances = np.concatenate(
            [self._distances(pairs.query[part] + first, pairs.point[part]) for part in _parts(len(pairs.query), PAIRS)]
        )
        order = np.lexsort((pairs.point, distances, pairs.query))
        pairs, distances = pairs.take(order), distances[order]
        place = np.arange(len(order)) - np.searchsorted(pairs.query, pairs.query)
        return pairs.take(place < self.k), distances[place < self.k]

    def _distances(self, query: Indices, point: Indices) -> Doubles:
        asked, other = self.queries[query].astype(np.float64), self.points[point].astype(np.float64)
        if self.cosine:
            return 1 - np.einsum("nd,nd->n", asked, other) * self.query_scale[query] * self.point_scale[point]
        asked -= other
        return np.sqrt(_square_norms(asked))


def _parts(count: int, size: int | None = None) -> Iterator[slice]:
    size = size or POINTS
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _square_norms(rows: NDArray) -> NDArray:
    return np.einsum("nd,nd->n", rows, rows)


def _kth_best(scores: Singles, k: int, rows: int = 128) -> Singles:
    """The k-th highest score of each query, (Q,); `rows` are copied at a time."""
    parts = (scores[start : start + rows] for start in range(0, len(scores), rows))
    return np.concatenate([np.partition(part, -k, axis=1)[:, -k] for part in parts])


def _join(some: list[Candidates]) -> Candidates:
    return Candidates(*(np.concatenate(columns) for columns in zip(*some, strict=True)))
