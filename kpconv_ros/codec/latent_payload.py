# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of an encoded tile as a payload: which sub-tiles have how many points, grounds, rounded codes.

Every symbol has frequencies that encoder and decoder know from :class:`LatentTables`, which stand with the weights of
the decoder. Only integers decide how a payload is read.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.patch_labels import read_labels, write_labels
from kpconv_ros.codec.range_coder import SymbolReader, SymbolWriter, count_bits, even_frequencies

Array = NDArray[Any]
NUM_CLASSES = 17
"""Sizes of sub-tiles that are told apart: class 0 is empty, class c stands for about 2^(c - 1) points."""
PARTS = 8
"""Into so many a class is divided; how many are told apart grows with the level."""
MOST_POINTS = 1 << 15
"""Most points of a sub-tile that a payload can tell of."""
GROUND_REACH = 127
"""Greatest difference between the grounds of neighbours, in steps."""


class LatentTables(NamedTuple):
    """What encoder and decoder know beforehand; frequencies as in :mod:`kpconv_ros.codec.range_coder`."""

    classes: NDArray[np.int32]
    """``(17, 17)``: of the class, given the mean of those of the neighbours before."""
    grounds: NDArray[np.int32]
    """``(1, 256)``: of the difference between grounds of neighbours, plus 127."""
    numbers: NDArray[np.int32]
    """``(levels, L, 2 most + 1)``: of the rounded numbers, plus ``most``."""
    shares: NDArray[np.int32]
    """``(n,)``, rising: points of a sub-tile, in 4096ths of the mean number, from which on its level is one higher."""
    side: int
    """Sub-tiles along an edge of a tile."""
    variant: int = 0
    """0 or 1: tells payloads of two networks apart."""


class LatentTile(NamedTuple):
    """A tile as numbers."""

    level: int
    """Level of the rate, 0 is the coarsest."""
    classes: NDArray[np.int64]
    """Class of each sub-tile by its number of points, ``(T,)``."""
    grounds: NDArray[np.int64]
    """Height of the ground in steps, ``(T,)``; 0 where there are no points."""
    numbers: NDArray[np.int64]
    """Rounded code of each sub-tile that is not empty, ``(S, L)``."""
    parts: NDArray[np.int64]
    """Which part of its class the number of points of each sub-tile that is not empty lies in, ``(S,)``, 0 to 7."""
    labels: NDArray[np.uint8] | None = None
    """Label of each patch of these, ``(S, K)``, if they ride along."""


def classes_of(counts: Array) -> NDArray[np.int64]:
    """Return the class of each sub-tile by its number of points.

    Raises:
        CodecError: If one has more points than can be told.
    """
    if counts.max(initial=0) > MOST_POINTS:
        raise CodecError(f"points of a sub-tile: got {counts.max()}, expected at most {MOST_POINTS}")
    octaves = np.rint(np.log2(np.maximum(counts, 1))).astype(np.int64)
    return np.where(counts > 0, 1 + octaves, 0)


def parts_of(counts: Array) -> NDArray[np.int64]:
    """Return which part of its class each number of points lies in, of the sub-tiles that are not empty, ``(S,)``."""
    octaves = np.log2(counts[counts > 0])
    return ((octaves - np.rint(octaves) + 0.5) * PARTS).astype(np.int64).clip(0, PARTS - 1)


def counts_of(tile: LatentTile, tables: LatentTables) -> NDArray[np.int64]:
    """Return the points that each sub-tile that is not empty is decoded to, ``(S,)``."""
    merged = PARTS >> _part_bits(tile.level, tables)
    octaves = tile.classes[tile.classes > 0] - 1.5 + (tile.parts // merged * merged + 0.5 * merged) / PARTS
    return np.rint(np.exp2(octaves)).astype(np.int64).clip(1)


def _part_bits(level: int, tables: LatentTables) -> int:
    """Return the bits of a part: where codes take few, none."""
    return min(4 * level // len(tables.numbers), 3)


def _part_symbols(tile: LatentTile, tables: LatentTables) -> tuple[Array, Array]:
    bits = _part_bits(tile.level, tables)
    return tile.parts >> (3 - bits), np.repeat(even_frequencies(1 << bits), len(tile.parts), axis=0)


def levels_of(level: int, classes: Array, tables: LatentTables) -> NDArray[np.int64]:
    """Return the level of each sub-tile that is not empty: those with many points are worth more bits."""
    filled = 1 << (classes[classes > 0] - 1)
    shares = filled * len(classes) * 4096 // max(int(filled.sum()), 1)
    above = np.searchsorted(tables.shares, shares, side="right") - np.searchsorted(tables.shares, 4096, side="right")
    return np.asarray(np.clip(level + above, 0, len(tables.numbers) - 1), np.int64)


def pack_tile(tile: LatentTile, tables: LatentTables) -> bytes:
    """Return the payload of a tile.

    Raises:
        CodecError: If a height is beyond what can be told.
    """
    writer = SymbolWriter()
    writer.write(np.array([tables.variant]), even_frequencies(2))
    writer.write(np.array([tile.level]), even_frequencies(len(tables.numbers)))
    writer.write(tile.classes, tables.classes[contexts_of(tile.classes)])
    writer.write(*_ground_symbols(tile, tables))
    if _part_bits(tile.level, tables):
        writer.write(*_part_symbols(tile, tables))
    writer.write(*_number_symbols(tile, tables))
    writer.write(np.array([int(tile.labels is not None)]), even_frequencies(2))
    if tile.labels is not None:
        write_labels(writer, tile.labels)
    return writer.finish()


def size_of(tile: LatentTile, tables: LatentTables, place_bits: float | None = None) -> float:
    """Return the bytes that the payload takes without labels, but for the rounding at its end.

    Args:
        tile: At any level.
        tables: What both ends know.
        place_bits: What :func:`count_place_bits` tells, where it is known: it is the same at each level.
    """
    bits = count_place_bits(tile, tables) if place_bits is None else place_bits
    bits += count_bits(np.array([tile.level]), even_frequencies(len(tables.numbers)))
    bits += len(tile.parts) * _part_bits(tile.level, tables) + count_bits(*_number_symbols(tile, tables))
    return (2 + bits) / 8


def count_place_bits(tile: LatentTile, tables: LatentTables) -> float:
    """Return the bits that tell where the points are: classes and grounds."""
    classes = count_bits(tile.classes, tables.classes[contexts_of(tile.classes)])
    return classes + count_bits(*_ground_symbols(tile, tables))


def unpack_tile(payload: bytes, tables: LatentTables, num_patches: int) -> LatentTile:
    """Read the payload of a tile, with so many labels a sub-tile if there are any.

    Raises:
        CodecError: If :func:`pack_tile` gives no such payload with these tables.
    """
    reader = SymbolReader(payload)
    reader.read(even_frequencies(2))  # if it is another variant, the payload below is not this one
    level = int(reader.read(even_frequencies(len(tables.numbers)))[0])
    classes = np.zeros(tables.side**2, np.int64)
    for subtile in range(len(classes)):
        context = _context(classes, subtile)
        classes[subtile] = reader.read(tables.classes[context : context + 1])[0]
    filled = np.flatnonzero(classes)
    if not len(filled):
        raise CodecError("payload: expected a tile with points, got none")
    grounds = _read_grounds(reader, filled, tables)
    parts = _read_parts(reader, level, len(filled), tables)
    frequencies = tables.numbers[levels_of(level, classes, tables)].reshape(-1, tables.numbers.shape[2])
    numbers = reader.read(frequencies).astype(np.int64).reshape(len(filled), -1) - most_of(tables)
    has_labels = bool(reader.read(even_frequencies(2))[0])
    labels = read_labels(reader, len(filled), num_patches) if has_labels else None
    tile = LatentTile(level, classes, grounds, numbers, parts, labels)
    if pack_tile(tile, tables) != payload:
        raise CodecError(f"payload: got {len(payload)} bytes that are cut off or altered, expected those of a tile")
    return tile


def read_variant(payload: bytes) -> int:
    """Return which network's payload it is.

    Raises:
        CodecError: If there are no bytes.
    """
    if not payload:
        raise CodecError("payload: expected that of a tile, got no bytes")
    return int(SymbolReader(payload).read(even_frequencies(2))[0])


def most_of(tables: LatentTables) -> int:
    """Return the greatest rounded number."""
    return int(tables.numbers.shape[2] - 1) // 2


def _context(classes: Array, subtile: int) -> int:
    found = [int(classes[before]) for before in _before(subtile, math.isqrt(len(classes)))]
    return -(-sum(found) // len(found)) if found else 0


def contexts_of(classes: Array) -> NDArray[np.int64]:
    """Return the mean class of the neighbours before each sub-tile, rounded up, 0 for the first."""
    return np.array([_context(classes, subtile) for subtile in range(len(classes))])


def _before(subtile: int, side: int) -> list[int]:
    """Return the neighbours that stand before a sub-tile in the payload."""
    beside = [subtile - 1] if subtile % side else []
    return [*beside, subtile - side] if subtile >= side else beside


def ground_differences(classes: Array, grounds: Array) -> NDArray[np.int64]:
    """Return the difference of each ground but the first to that of a neighbour, of the sub-tiles with points."""
    filled = np.flatnonzero(classes)
    guesses = [_guess_ground(classes, grounds, int(subtile)) for subtile in filled[1:]]
    return grounds[filled[1:]] - np.array(guesses, np.int64)


def reach_grounds(classes: Array, grounds: Array) -> NDArray[np.int64]:
    """Return grounds that can be told: where one is too far from its guess, as a roof is, the nearest that can."""
    reached = grounds.astype(np.int64)
    for subtile in np.flatnonzero(classes)[1:]:
        guess = _guess_ground(classes, reached, int(subtile))
        reached[subtile] = np.clip(reached[subtile], guess - GROUND_REACH, guess + GROUND_REACH)
    return reached


def _guess_ground(classes: Array, grounds: Array, subtile: int) -> int:
    """Return the mean ground of the neighbours before a sub-tile, or that of the last one with points before it."""
    near = [int(grounds[i]) for i in _before(subtile, math.isqrt(len(classes))) if classes[i]]
    return sum(near) // len(near) if near else int(grounds[np.flatnonzero(classes[:subtile])[-1]])


def _ground_symbols(tile: LatentTile, tables: LatentTables) -> tuple[Array, Array]:
    """Return symbols and frequencies of the grounds: two bytes of the first one, then differences."""
    first = int(tile.grounds[np.flatnonzero(tile.classes)[0]]) + (1 << 15)
    differences = ground_differences(tile.classes, tile.grounds)
    if not 0 <= first < 1 << 16 or np.abs(differences).max(initial=0) > GROUND_REACH:
        raise CodecError(f"grounds: got {tile.grounds.tolist()}, expected neighbours within {GROUND_REACH} steps")
    symbols = np.concatenate([divmod(first, 256), differences + GROUND_REACH])
    return symbols, _ground_frequencies(len(differences), tables)


def _ground_frequencies(num: int, tables: LatentTables) -> Array:
    even = even_frequencies(256)
    return np.concatenate([even, even, np.repeat(tables.grounds, num, axis=0)])


def _read_grounds(reader: SymbolReader, filled: Array, tables: LatentTables) -> NDArray[np.int64]:
    symbols = reader.read(_ground_frequencies(len(filled) - 1, tables)).astype(np.int64)
    grounds, classes = np.zeros(tables.side**2, np.int64), np.zeros(tables.side**2, np.int64)
    grounds[filled[0]] = symbols[0] * 256 + symbols[1] - (1 << 15)
    classes[filled] = 1
    for subtile, symbol in zip(filled[1:], symbols[2:], strict=True):
        grounds[subtile] = _guess_ground(classes, grounds, int(subtile)) + symbol - GROUND_REACH
    return grounds


def _read_parts(reader: SymbolReader, level: int, num: int, tables: LatentTables) -> NDArray[np.int64]:
    bits = _part_bits(level, tables)
    if not bits:
        return np.zeros(num, np.int64)
    return reader.read(np.repeat(even_frequencies(1 << bits), num, axis=0)).astype(np.int64) << (3 - bits)


def _number_symbols(tile: LatentTile, tables: LatentTables) -> tuple[Array, Array]:
    frequencies = tables.numbers[levels_of(tile.level, tile.classes, tables)]
    return tile.numbers.ravel() + most_of(tables), frequencies.reshape(-1, frequencies.shape[2])
