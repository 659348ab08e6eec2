# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The payload by which a sender tells what it has sent, so that its receiver knows what is missing.

Name of the map frame (length, UTF-8), newest sequence (varint), then for each tile ix and iy as differences to the tile
before (zigzag varints) and the age of its sequence (varint): three to five bytes a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TileKey
from kpconv_ros.codec.varint import pack_signed, pack_varint, unpack_signed, unpack_varint

INDEX_CODER = 0
"""The number that names an index in a packet, where tiles have that of their coder."""


class Index(NamedTuple):
    """Some tiles of a map and the sequence of the last code of each."""

    frame: str
    """Name of the map frame."""
    newest: int
    """The last sequence that was given."""
    sequences: Sequence[tuple[TileKey, int]]


def pack_index(index: Index) -> bytes:
    """Write an index.

    Raises:
        CodecError: If a number does not fit.
    """
    name = index.frame.encode()
    data, before = pack_varint(len(name)) + name + pack_varint(index.newest), TileKey(0, 0)
    for key, sequence in index.sequences:
        data += pack_signed(key.ix - before.ix) + pack_signed(key.iy - before.iy) + pack_varint(index.newest - sequence)
        before = key
    return data


def unpack_index(data: bytes) -> Index:
    """Read an index.

    Raises:
        CodecError: If the bytes are none.
    """
    length, place = unpack_varint(data, 0)
    try:
        frame = data[place : place + length].decode()
    except UnicodeDecodeError as error:
        raise CodecError(f"got a frame's name that is no UTF-8: {error}") from error
    newest, place = unpack_varint(data, place + length)
    sequences, before = [], TileKey(0, 0)
    while place < len(data):
        dx, place = unpack_signed(data, place)
        dy, place = unpack_signed(data, place)
        age, place = unpack_varint(data, place)
        if age > newest:
            raise CodecError(f"got a sequence {age} before {newest}, expected none below 0")
        before = TileKey(before.ix + dx, before.iy + dy)
        sequences.append((before, newest - age))
    return Index(frame, newest, sequences)
