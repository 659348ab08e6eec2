# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of a map, and what every coder of tiles can do."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.error import CodecError

TILE_SIZE = 20.0
"""Edge of a tile, metres: tile (ix, iy) covers [ix, ix+1) x [iy, iy+1) edges of the map frame, at all heights."""


class TileKey(NamedTuple):
    """Which tile of the map."""

    ix: int
    iy: int


class TileContent(NamedTuple):
    """The points of a tile and what they are."""

    points: NDArray[np.float32]
    """``(N, 3)`` float32, metres; x and y relative to the lower corner of the tile (0 to 20), z of the map frame."""
    labels: NDArray[np.uint8]
    """``(N,)`` uint8; 0 is unknown."""


class TileCoder(Protocol):
    """Makes a payload of a tile, and a tile of a payload."""

    @property
    def id(self) -> int:
        """One byte that names the coder in a packet."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def decoder_hash(self) -> int:
        """32 bits that tell one decoder from another; a format constant where there are no weights."""

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """The best payload of at most ``max_bytes``; None if this coder cannot make one so small.

        Raises:
            CodecError: If the content is no tile.
        """

    def decode(self, payload: bytes) -> TileContent:
        """The tile of a payload, the same on every machine.

        Raises:
            CodecError: If this coder made no such payload.
        """


def check_content(content: TileContent) -> None:
    """Raise `CodecError` unless the content is a tile as described above."""
    points, labels = content
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype != np.float32:
        raise CodecError(f"points: got {points.dtype} {points.shape}, expected float32 (N, 3)")
    if labels.shape != points.shape[:1] or labels.dtype != np.uint8:
        raise CodecError(f"labels: got {labels.dtype} {labels.shape}, expected uint8 ({len(points)},)")
    if not len(points):
        raise CodecError("got a tile without points, expected at least one")
    low, high = points[:, :2].min(), points[:, :2].max()
    if not (np.isfinite(points).all() and low >= 0.0 and high <= TILE_SIZE):
        raise CodecError(f"points: got x, y from {low} to {high}, expected finite ones of 0 to {TILE_SIZE}")
