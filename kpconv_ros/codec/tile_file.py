# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole map as a file: where it lies, then its packets as they would go over the link."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.packet import Packet, join_batch, pack_packet, split_batch, unpack_packet

_MAGIC = b"KPTM"
_VERSION = 1
_HEAD = struct.Struct("<4sB3d")
_CRC = struct.Struct("<I")


class TileFile(NamedTuple):
    """A map in packets."""

    origin: tuple[float, float, float]
    """What is to be added to the positions, metres: not zero where they are too large for float32."""
    packets: Sequence[Packet]


def pack_tile_file(file: TileFile) -> bytes:
    """Write a map."""
    head = _HEAD.pack(_MAGIC, _VERSION, *file.origin)
    return head + _CRC.pack(zlib.crc32(head)) + join_batch([pack_packet(packet) for packet in file.packets])


def unpack_tile_file(data: bytes) -> TileFile:
    """Read a map.

    Raises:
        CodecError: If the bytes are none, of another version, or damaged.
    """
    start = _HEAD.size + _CRC.size
    if len(data) < start or data[:4] != _MAGIC:
        raise CodecError(f"got {len(data)} bytes that begin with {data[:4]!r}, expected a map with {_MAGIC!r}")
    if zlib.crc32(data[: _HEAD.size]) != _CRC.unpack_from(data, _HEAD.size)[0]:
        raise CodecError("got a map whose head does not fit its checksum")
    _, version, x, y, z = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise CodecError(f"got a map of version {version}, expected {_VERSION}")
    if not all(map(math.isfinite, (x, y, z))):
        raise CodecError(f"got a map at {x}, {y}, {z}, expected finite metres")
    return TileFile((x, y, z), [unpack_packet(packet) for packet in split_batch(data[start:])])
