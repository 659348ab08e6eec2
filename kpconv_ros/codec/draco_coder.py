# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles by Draco: occupied cells of a grid as coarse as the bytes demand, and their labels beside them.

Payload: rung of the grid (1 byte), lowest layer of cells (zigzag varint), length of the Draco bytes (varint), those,
and the labels of the cells, in the order of their keys, deflated.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import DracoPy
import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, check_content
from kpconv_ros.codec.varint import pack_signed, pack_varint, unpack_signed, unpack_varint

Array = NDArray[Any]
FINEST_CELL = 0.1  # m
NUM_RUNGS = 21  # of the ladder of grids, four an octave: 0.1 to 3.2 m
DRACO_LEVELS = (1, 10)
"""Few scattered points are smaller at level 1, surfaces at level 10."""
MAX_HEIGHT = 400.0  # m between lowest and highest point
MAX_CELLS = 1 << 20
_DRACO_COUNT = slice(11, 15)  # of Draco's header: its number of points, little-endian
_KEY_BITS = 13  # of x, y and z; 400 m of 0.1 m cells
_RAW_DEFLATE = -15


class Cells(NamedTuple):
    """Occupied cells of a tile."""

    indices: Array
    """``(V, 3)`` int64, not negative, each once, in the order of their keys."""
    labels: Array
    """The most frequent label in each, ``(V,)`` uint8; the smaller one in a tie."""
    lowest: int
    """Layer of ``indices[:, 2] == 0``, counted from height 0."""


class DracoCoder:
    """Draco (https://google.github.io/draco) as a `kpconv_ros.codec.tile.TileCoder`.

    Decoded points are centres of cells: at most half a cell's diagonal from the point they stand for. What is decoded
    depends on integers alone.
    """

    id = 1
    name = "draco"
    decoder_hash = zlib.crc32(b"kpconv_ros draco tile 1")
    """Of the format, since there are no weights."""

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """The payload of the finest grid that fits into ``max_bytes``; None if not even the coarsest does.

        Raises:
            CodecError: If the content is no tile, or higher than 400 m.
        """
        check_content(content)
        best, fine, coarse = None, 0, NUM_RUNGS - 1
        while fine <= coarse:  # bisection: coarser grids take fewer bytes
            rung = (fine + coarse) // 2
            payload = encode_at(content, rung)
            if len(payload) <= max_bytes:
                best, coarse = payload, rung - 1
            else:
                fine = rung + 1
        return best

    def decode(self, payload: bytes) -> TileContent:
        """The tile of a payload.

        Raises:
            CodecError: If this coder made no such payload.
        """
        rung, lowest, draco, deflated = _split(payload)
        labels = _inflate(deflated)
        indices = _decode_draco(draco, len(labels))
        keys = keys_of(indices)
        order = np.argsort(keys, kind="stable")
        if len(np.unique(keys)) != len(keys):
            raise CodecError("got a cell twice, expected every cell once")
        cell = cell_size(rung)
        points = (indices[order] + (0.5, 0.5, lowest + 0.5)) * cell
        points[:, :2] = np.minimum(points[:, :2], TILE_SIZE - 1e-3)  # a point on the edge is the next tile's
        content = TileContent(points.astype(np.float32), labels)
        check_content(content)
        return content


def encode_cloud(points: Array, step: float) -> bytes:
    """A whole cloud by Draco alone, ``(N, 3)`` metres, positions rounded to ``step``: what tiles are compared with.

    Raises:
        CodecError: If there are no points, one is not finite, or they reach over more than 2^24 steps.
    """
    if not len(points) or not np.isfinite(points).all():
        raise CodecError(f"got points {points.shape}, expected at least one, all finite")
    indices = np.rint((points - points.min(axis=0)) / step).astype(np.int64)
    bits = max(int(indices.max()).bit_length(), 1)
    if bits > 24:
        raise CodecError(f"got points over {indices.max()} steps, expected at most 2^24")
    return _encode_draco(indices, bits, max(DRACO_LEVELS))


def cell_size(rung: int) -> float:
    """Edge of the cells of a grid, metres."""
    return float(FINEST_CELL * 2.0 ** (rung / 4))


def encode_at(content: TileContent, rung: int) -> bytes:
    """The payload of a tile on one grid.

    Raises:
        CodecError: If the tile is too high.
    """
    cells = occupied_cells(content, cell_size(rung))
    bits = max(int(cells.indices.max()).bit_length(), 1)
    draco = min((_encode_draco(cells.indices, bits, level) for level in DRACO_LEVELS), key=len)
    compressor = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    labels = compressor.compress(cells.labels.tobytes()) + compressor.flush()
    return bytes([rung]) + pack_signed(cells.lowest) + pack_varint(len(draco)) + draco + labels


def occupied_cells(content: TileContent, cell: float) -> Cells:
    """The cells of edge ``cell`` that hold points.

    Raises:
        CodecError: If the tile is too high.
    """
    height = float(np.ptp(content.points[:, 2]))
    if height > MAX_HEIGHT:
        raise CodecError(f"got a tile {height:.0f} m high, expected at most {MAX_HEIGHT:.0f} m")
    indices = np.floor(content.points.astype(np.float64) / cell).astype(np.int64)
    lowest = int(indices[:, 2].min())
    indices[:, 2] -= lowest
    keys = keys_of(indices)
    pairs, counts = np.unique(keys << 8 | content.labels, return_counts=True)  # (P,) each cell and label once
    order = np.lexsort((-(pairs & 0xFF), counts, pairs >> 8))  # the last of a cell has the most points
    is_last = np.append(np.diff(pairs[order] >> 8) != 0, True)
    kept = pairs[order][is_last]
    return Cells(indices_of(kept >> 8), (kept & 0xFF).astype(np.uint8), lowest)


def keys_of(indices: Array) -> Array:
    """One number a cell, ``(V, 3)`` -> ``(V,)``, x fastest."""
    x, y, z = indices.T
    keys: Array = x | y << _KEY_BITS | z << 2 * _KEY_BITS
    return keys


def indices_of(keys: Array) -> Array:
    """The inverse of `keys_of`."""
    mask = (1 << _KEY_BITS) - 1
    return np.stack([keys & mask, keys >> _KEY_BITS & mask, keys >> 2 * _KEY_BITS], axis=1)


def _encode_draco(indices: Array, bits: int, level: int) -> bytes:
    points = indices.astype(np.float32)
    return bytes(
        DracoPy.encode(
            points,
            quantization_bits=bits,
            compression_level=level,
            quantization_range=float(2**bits - 1),  # a step is 1: nothing is rounded
            quantization_origin=[0.0, 0.0, 0.0],
        )
    )


def _decode_draco(data: bytes, count: int) -> Array:
    if int.from_bytes(data[_DRACO_COUNT], "little") != count:  # else it would make room for any number
        raise CodecError(f"got {len(data)} bytes that are not Draco's of {count} cells, as there are labels")
    try:
        points = np.asarray(DracoPy.decode(data).points, np.float64)
    except Exception as error:  # DracoPy raises several unrelated classes
        raise CodecError(f"got {len(data)} bytes that Draco refuses: {error}") from error
    if points.shape != (count, 3) or not count or not np.isfinite(points).all():
        raise CodecError(f"got points {points.shape} from Draco, expected finite ones ({count}, 3)")
    indices = np.rint(points)
    if indices.min() < 0 or indices.max() >= 1 << _KEY_BITS:
        raise CodecError(f"got cells {indices.min():g} to {indices.max():g}, expected 0 to {(1 << _KEY_BITS) - 1}")
    return np.asarray(indices, np.int64)


def _split(payload: bytes) -> tuple[int, int, bytes, bytes]:
    if not payload or payload[0] >= NUM_RUNGS:
        raise CodecError(f"got {len(payload)} bytes, grid {payload[:1].hex()}, expected a grid below {NUM_RUNGS}")
    lowest, place = unpack_signed(payload, 1)
    length, place = unpack_varint(payload, place)
    if place + length > len(payload):
        raise CodecError(f"got {len(payload)} bytes, expected at least {place + length}")
    return payload[0], lowest, payload[place : place + length], payload[place + length :]


def _inflate(deflated: bytes) -> NDArray[np.uint8]:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        labels = inflater.decompress(deflated, MAX_CELLS)
    except zlib.error as error:
        raise CodecError(f"got {len(deflated)} bytes of labels that are no deflate stream: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise CodecError(f"got {len(deflated)} bytes of labels, expected one whole deflate stream")
    return np.frombuffer(labels, np.uint8)
