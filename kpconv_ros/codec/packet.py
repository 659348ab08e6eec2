# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tile, or a part of one, with all that its receiver must know, in 13 to 18 bytes beside the payload.

Bytes: version and number of parts less one (4 bits each), coder, [part, if there are several], decoder hash
(little-endian), ix, iy (zigzag varints), sequence (varint), payload, CRC-32 of all before it (little-endian). What
carries a packet knows its length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TileKey
from kpconv_ros.codec.varint import pack_signed, pack_varint, unpack_signed, unpack_varint

VERSION = 1
MAX_PARTS = 16
MAX_OVERHEAD = 18
"""Bytes beside the payload while the map lies within 160 km of its origin and fewer than 2^21 tiles were sent."""
_HASH = struct.Struct("<I")
_CRC_BYTES = 4


class Packet(NamedTuple):
    """One packet."""

    coder: int
    """Which coder made the payload; 0 is the `kpconv_ros.codec.index`."""
    decoder_hash: int
    """Of what decodes it, 32 bit: a receiver with another decoder refuses it."""
    key: TileKey
    sequence: int
    """Rises with every code of a tile that is sent; parts of a code, and repetitions, have the same."""
    payload: bytes
    """Of this part."""
    part: int = 0
    num_parts: int = 1


def pack_packet(packet: Packet) -> bytes:
    """Write a packet.

    Raises:
        CodecError: If a number does not fit.
    """
    if not (1 <= packet.num_parts <= MAX_PARTS and 0 <= packet.part < packet.num_parts):
        raise CodecError(f"got part {packet.part} of {packet.num_parts}, expected one of at most {MAX_PARTS}")
    if not (0 <= packet.coder <= 255 and 0 <= packet.decoder_hash < 2**32):
        raise CodecError(f"got coder {packet.coder}, hash {packet.decoder_hash}, expected 8 and 32 bits")
    part = [packet.part] if packet.num_parts > 1 else []
    head = bytes([VERSION << 4 | packet.num_parts - 1, packet.coder, *part]) + _HASH.pack(packet.decoder_hash)
    place = pack_signed(packet.key.ix) + pack_signed(packet.key.iy) + pack_varint(packet.sequence)
    body = head + place + packet.payload
    return body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little")


def unpack_packet(data: bytes) -> Packet:
    """Read a packet.

    Raises:
        CodecError: If it is none, of another version, cut, too long or damaged.
    """
    body = data[:-_CRC_BYTES]
    if not body or zlib.crc32(body) != int.from_bytes(data[-_CRC_BYTES:], "little"):
        raise CodecError(f"got {len(data)} bytes that do not fit their checksum, expected a whole packet")
    version, num_parts = body[0] >> 4, (body[0] & 0xF) + 1
    if version != VERSION:
        raise CodecError(f"got a packet of version {version}, expected {VERSION}")
    start = 3 if num_parts > 1 else 2
    if len(body) < start + _HASH.size:
        raise CodecError(f"got {len(data)} bytes, expected a whole packet")
    part = body[2] if num_parts > 1 else 0
    if part >= num_parts:
        raise CodecError(f"got part {part} of {num_parts}, expected a smaller one")
    ix, place = unpack_signed(body, start + _HASH.size)
    iy, place = unpack_signed(body, place)
    sequence, place = unpack_varint(body, place)
    (decoder_hash,) = _HASH.unpack_from(body, start)
    return Packet(body[1], decoder_hash, TileKey(ix, iy), sequence, body[place:], part, num_parts)


def split_packet(packet: Packet, max_bytes: int) -> list[Packet]:
    """Cut a packet into parts whose bytes are at most ``max_bytes`` each.

    Raises:
        CodecError: If it takes more than `MAX_PARTS`, or there is no room for a payload.
    """
    if len(pack_packet(packet)) <= max_bytes:
        return [packet]
    overhead = len(pack_packet(packet._replace(payload=b"", num_parts=2)))
    room = max_bytes - overhead
    if room < 1:
        raise CodecError(f"got room for {max_bytes} bytes, expected more than the {overhead} beside the payload")
    num_parts = -(-len(packet.payload) // room)
    if num_parts > MAX_PARTS:
        raise CodecError(f"got a payload of {len(packet.payload)} bytes, expected at most {MAX_PARTS} parts of {room}")
    size = -(-len(packet.payload) // num_parts)  # even parts
    pieces = [packet.payload[start : start + size] for start in range(0, len(packet.payload), size)]
    return [packet._replace(payload=piece, part=i, num_parts=len(pieces)) for i, piece in enumerate(pieces)]


def join_batch(packets: Sequence[bytes]) -> bytes:
    """Lay packets one after the other, each after its length."""
    return b"".join(pack_varint(len(packet)) + packet for packet in packets)


def split_batch(data: bytes) -> list[bytes]:
    """Read what `join_batch` wrote; the packets are not looked into.

    Raises:
        CodecError: If a length leads beyond the end.
    """
    packets, place = [], 0
    while place < len(data):
        length, place = unpack_varint(data, place)
        if place + length > len(data):
            raise CodecError(f"got {len(data)} bytes, expected {place + length} as a packet's length tells")
        packets.append(data[place : place + length])
        place += length
    return packets
