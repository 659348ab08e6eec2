# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coders of tiles that the map codec is compared with: occupied cells of a grid, as sorted keys and as an octree.

Each takes the finest cells whose bytes fit; a decoded point is the middle of a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from kpconv_ros.codec.range_coder import SymbolReader, SymbolWriter, frequencies_of
from kpconv_ros.codec.tile import TILE_SIZE, TileContent
from kpconv_ros.codec.varint import pack_signed, pack_varint, unpack_signed, unpack_varint

Array = NDArray[Any]
NUM_RUNGS = 49
"""Cells from 0.1 m to 6.4 m, eight an octave."""
_KEY_BITS = 20
_MOST_BYTES = 1 << 24  # of decompressed keys
_HEIGHTS = 3  # of nodes above the leaves that are told apart
_CONTEXTS = 64 * _HEIGHTS
_NEIGHBORS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
_CHILDREN = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(8, 3)


class Cells(NamedTuple):
    """Occupied cells of a tile."""

    indices: NDArray[np.int64]
    """``(V, 3)``, from 0 on, each once."""
    rung: int
    """Of the ladder of sizes."""
    lowest: int
    """Layer of index 0, in cells."""


def cell_size(rung: int) -> float:
    """Return the edge of the cells, metres."""
    return float(0.1 * 2.0 ** (rung / 8))


def find_cells(points: Array, rung: int) -> Cells:
    """Return the cells with points."""
    indices = np.unique(np.floor(points.astype(np.float64) / cell_size(rung)).astype(np.int64), axis=0)
    lowest = int(indices[:, 2].min())
    return Cells(indices - np.array([0, 0, lowest]), rung, lowest)


def middles(cells: Cells) -> TileContent:
    """Return the middle of each cell."""
    points = (cells.indices + np.array([0.5, 0.5, 0.5 + cells.lowest])) * cell_size(cells.rung)
    points[:, :2] = points[:, :2].clip(0.0, TILE_SIZE)
    return TileContent(points.astype(np.float32), np.zeros(len(points), np.uint8))


def finest_that_fits(points: Array, max_bytes: int, pack: Callable[[Cells], bytes]) -> bytes | None:
    """Return the payload of the finest cells of at most so many bytes; coarser cells take fewer, nearly always."""
    best, fine, coarse = None, 0, NUM_RUNGS - 1
    while fine <= coarse:
        rung = (fine + coarse) // 2
        payload = pack(find_cells(points, rung))
        if len(payload) <= max_bytes:
            best, coarse = payload, rung - 1
        else:
            fine = rung + 1
    return best


class VoxelKeyCoder:
    """Differences of sorted cell numbers, compressed by Zstandard."""

    name = "voxel keys + zstd"

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """See :meth:`kpconv_ros.codec.tile.TileCoder.encode`."""
        return finest_that_fits(content.points, max_bytes, self._pack)

    def decode(self, payload: bytes) -> TileContent:
        """See :meth:`kpconv_ros.codec.tile.TileCoder.decode`."""
        rung, (lowest, place) = payload[0], unpack_signed(payload, 1)
        numbers, packed, at = [], _decompress(payload[place:]), 0
        while at < len(packed):
            step, at = unpack_varint(packed, at)
            numbers.append(step)
        keys, side = np.cumsum(numbers), self._side(rung)
        indices = np.stack([keys // side % side, keys % side, keys // side**2], axis=1)
        return middles(Cells(indices, rung, lowest))

    def _pack(self, cells: Cells) -> bytes:
        side = self._side(cells.rung)
        keys = np.sort((cells.indices[:, 2] * side + cells.indices[:, 0]) * side + cells.indices[:, 1])
        steps = b"".join(pack_varint(int(step)) for step in np.diff(keys, prepend=0))
        return bytes([cells.rung]) + pack_signed(cells.lowest) + _compress(steps)

    @staticmethod
    def _side(rung: int) -> int:
        return int(TILE_SIZE / cell_size(rung)) + 1


def _compress(data: bytes) -> bytes:
    """Compress without the four magic bytes, the length and the checksum, which packets make needless."""
    form = zstandard.FORMAT_ZSTD1_MAGICLESS
    options = zstandard.ZstdCompressionParameters.from_level(19, write_content_size=False, format=form)
    return zstandard.ZstdCompressor(compression_params=options).compress(data)


def _decompress(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS).decompress(data, _MOST_BYTES)


class OctreeCoder:
    """Occupancy bytes of an octree, breadth first, by a range coder.

    How likely a byte is, was counted in other tiles, by which of the six neighbours of the node are occupied and by how
    far it is above the leaves.
    """

    name = "octree + range coder"

    def __init__(self, tiles: Iterable[Array], rungs: Iterable[int] = range(8, NUM_RUNGS, 3)) -> None:
        """Count bytes in the points ``(N, 3)`` of tiles at some sizes of cells."""
        self._rungs = tuple(rungs)
        counts = np.zeros((_CONTEXTS, 256))
        for points in tiles:
            for rung in self._rungs:
                for symbols, contexts in list_symbols(find_cells(points, rung)):
                    np.add.at(counts, (contexts, symbols), 1)
        # What was not seen in a context is as likely as in all of them.
        overall = counts.sum(0) + 0.1
        overall[0] = 0.0
        self._frequencies = frequencies_of(counts + 4.0 * overall / overall.sum())

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """See :meth:`kpconv_ros.codec.tile.TileCoder.encode`."""
        return finest_that_fits(content.points, max_bytes, self._pack)

    def decode(self, payload: bytes) -> TileContent:
        """See :meth:`kpconv_ros.codec.tile.TileCoder.decode`."""
        rung, (lowest, place) = payload[0], unpack_signed(payload, 1)
        depth, reader = payload[place], SymbolReader(payload[place + 1 :])
        nodes = np.zeros((1, 3), np.int64)
        for level in range(depth):
            symbols = reader.read(self._frequencies[_contexts(nodes, depth - 1 - level)])
            nodes = _children(nodes, symbols)
        return middles(Cells(nodes, rung, lowest))

    def _pack(self, cells: Cells) -> bytes:
        writer, levels = SymbolWriter(), list_symbols(cells)
        for symbols, contexts in levels:
            writer.write(symbols, self._frequencies[contexts])
        return bytes([cells.rung]) + pack_signed(cells.lowest) + bytes([len(levels)]) + writer.finish()


def list_symbols(cells: Cells) -> list[tuple[Array, Array]]:
    """Return the occupancy byte and the context of each node, from the root on, of one level after the other."""
    depth = max(int(cells.indices.max()).bit_length(), 1)
    nodes = [cells.indices[np.argsort(_keys(cells.indices))]]
    levels = []
    for above in range(depth):
        fine = nodes[-1]
        coarse = np.unique(_keys(fine >> 1))
        parents = np.searchsorted(coarse, _keys(fine >> 1))
        symbols = np.zeros(len(coarse), np.int64)
        np.bitwise_or.at(symbols, parents, 1 << ((fine & 1) @ np.array([4, 2, 1])))
        nodes.append(_places(coarse))
        levels.append((symbols, _contexts(nodes[-1], above)))
    return levels[::-1]


def _contexts(nodes: Array, above: int) -> NDArray[np.int64]:
    """Return which neighbours of nodes ``(n, 3)`` in the order of their keys are nodes, and the height, as a number."""
    keys, context = _keys(nodes), np.full(len(nodes), min(above, _HEIGHTS - 1))
    for step in _NEIGHBORS:
        wanted = _keys(nodes + step)
        found = keys[np.searchsorted(keys, wanted).clip(max=len(keys) - 1)] == wanted
        context = 2 * context + found
    return context


def _children(nodes: Array, symbols: Array) -> NDArray[np.int64]:
    node, child = np.nonzero((symbols[:, None] >> np.arange(8)) & 1)
    indices: NDArray[np.int64] = 2 * nodes[node] + _CHILDREN[child]
    return indices[np.argsort(_keys(indices))]


def _keys(indices: Array) -> NDArray[np.int64]:
    shifted = indices + 1  # a neighbour may be at -1
    return np.asarray(((shifted[:, 0] << _KEY_BITS | shifted[:, 1]) << _KEY_BITS) | shifted[:, 2])


def _places(keys: Array) -> NDArray[np.int64]:
    mask = (1 << _KEY_BITS) - 1
    return np.stack([keys >> 2 * _KEY_BITS, keys >> _KEY_BITS & mask, keys & mask], axis=1) - 1
