# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Principal components of sub-tiles in canonical order: the linear code that a learned one has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.codec.latent_payload import (
    LatentTables,
    LatentTile,
    classes_of,
    counts_of,
    levels_of,
    most_of,
    pack_tile,
    parts_of,
    reach_grounds,
    size_of,
    unpack_tile,
)
from kpconv_ros.codec.range_coder import frequencies_of
from kpconv_ros.codec.subtiles import draw_rows, origins_of, split_tile
from kpconv_ros.codec.tile import TILE_SIZE, TileContent
from kpconv_ros.data.subtile_set import SubtileSet
from kpconv_ros.geometry.kd_cells import kd_order

Array = NDArray[Any]
NUM_POINTS = 512
"""Of a sub-tile, resampled and ordered by a k-d tree."""
NUM_COMPONENTS = 64
MOST = 127
"""Greatest rounded coefficient."""
COARSEST, FINEST = 80.0, 2.0
"""Steps of rounding, metres times the root of the number of points."""
PRIOR = 0.02
_BATCH = 1024


class PcaTileCoder:
    """A sub-tile is its mean plus components times rounded coefficients; the payload is that of the latent coder."""

    name = "PCA of sub-tiles"

    def __init__(self, data: SubtileSet, tables: LatentTables) -> None:
        """Find components and count rounded coefficients.

        Args:
            data: Sub-tiles, not of the tiles that are measured.
            tables: Of a learned coder with sub-tiles of this size: for what is no coefficient.
        """
        ordered = np.concatenate([_order(part) for part in np.array_split(data.points, -(-len(data.points) // _BATCH))])
        self._mean = ordered.mean(0)
        centered = ordered - self._mean
        _, vectors = np.linalg.eigh(centered.T @ centered)
        self._components = np.ascontiguousarray(vectors[:, : -NUM_COMPONENTS - 1 : -1].T)  # (C, 3 n), largest first
        levels = len(tables.numbers)
        self._steps = np.geomspace(COARSEST, FINEST, levels)
        coefficients, counts = centered @ self._components.T, np.zeros((levels, NUM_COMPONENTS, 2 * MOST + 1))
        for level, step in enumerate(self._steps):
            rounded = np.rint(coefficients / step).clip(-MOST, MOST).astype(np.int64) + MOST
            np.add.at(counts[level], (np.arange(NUM_COMPONENTS), rounded), 1)
        self._tables = tables._replace(numbers=frequencies_of(counts + PRIOR))

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """See :meth:`kpconv_ros.codec.tile.TileCoder.encode`."""
        split = split_tile(content.points, self._tables.side)
        filled, starts = np.flatnonzero(split.counts), np.cumsum(split.counts) - split.counts
        generator = np.random.default_rng(0)
        rows = [starts[i] + _spread(int(split.counts[i]), generator) for i in filled]
        coefficients = (_order(split.points[np.stack(rows)]) - self._mean) @ self._components.T
        grounds = reach_grounds(split.counts > 0, split.grounds)  # a roof alone in its sub-tile may be told wrongly
        tile = LatentTile(0, classes_of(split.counts), grounds, np.zeros((0, 0), np.int64), parts_of(split.counts))
        for level in range(len(self._steps) - 1, -1, -1):
            rounded = self._round(tile._replace(level=level), coefficients)
            if size_of(rounded, self._tables) <= max_bytes:
                payload = pack_tile(rounded, self._tables)
                if len(payload) <= max_bytes:
                    return payload
        return None

    def decode(self, payload: bytes) -> TileContent:
        """See :meth:`kpconv_ros.codec.tile.TileCoder.decode`."""
        tile = unpack_tile(payload, self._tables, 0)
        steps = self._steps[levels_of(tile.level, tile.classes, self._tables)]
        subtiles = (self._mean + tile.numbers * steps[:, None] @ self._components).reshape(-1, NUM_POINTS, 3)
        counts, origins = counts_of(tile, self._tables), origins_of(tile.grounds)[tile.classes > 0]
        of_subtiles = zip(subtiles, counts.tolist(), origins, strict=True)
        parts = [points[_spread_evenly(count)] + origin for points, count, origin in of_subtiles]
        points = np.concatenate(parts).astype(np.float32)
        points[:, :2] = points[:, :2].clip(0.0, TILE_SIZE)
        return TileContent(points, np.zeros(len(points), np.uint8))

    def _round(self, tile: LatentTile, coefficients: Array) -> LatentTile:
        steps = self._steps[levels_of(tile.level, tile.classes, self._tables)]
        most = most_of(self._tables)
        return tile._replace(numbers=np.rint(coefficients / steps[:, None]).clip(-most, most).astype(np.int64))


def _spread(count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return random rows, repeated where there are too few."""
    rows: NDArray[np.int64] = generator.permutation(count)[draw_rows(count, NUM_POINTS)]
    return rows


def _spread_evenly(count: int) -> NDArray[np.int64]:
    """Return so many rows of the ordered points: evenly spread ones, or all and some of them again."""
    return draw_rows(NUM_POINTS, count) if count <= NUM_POINTS else np.arange(count) % NUM_POINTS


def _order(points: Array) -> NDArray[np.float32]:
    """Return some points of sub-tiles ``(S, n, 3)`` in canonical order, ``(S, 3 NUM_POINTS)``."""
    cloud = torch.from_numpy(points[:, :NUM_POINTS].astype(np.float32))
    order = kd_order(cloud, NUM_POINTS)
    ordered: NDArray[np.float32] = cloud.gather(1, order[..., None].expand_as(cloud)).flatten(1).numpy()
    return ordered
