# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole numbers in as few bytes as they need: seven bits a byte, least significant first (LEB128)."""

from __future__ import annotations

from kpconv_ros.codec.error import CodecError

_MAX_BYTES = 5
MAX_VARINT = 2**32 - 1
"""The largest number."""


def pack_varint(value: int) -> bytes:
    """Write a number from 0 to `MAX_VARINT`: 1 byte up to 127, 2 up to 16,383, at most 5.

    Raises:
        CodecError: If it is outside.
    """
    if not 0 <= value <= MAX_VARINT:
        raise CodecError(f"got the number {value}, expected 0 to {MAX_VARINT}")
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def unpack_varint(data: bytes, start: int) -> tuple[int, int]:
    """Read a number at ``start``; returns it and where the next thing begins.

    Raises:
        CodecError: If the bytes end within it, or it is longer than it need be, or too large.
    """
    value = 0
    for count, byte in enumerate(data[start : start + _MAX_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if value > MAX_VARINT or (count and not byte):
                raise CodecError(f"got the number {value} in {count + 1} bytes, expected the shortest form of 32 bits")
            return value, start + count + 1
    raise CodecError(f"got {len(data)} bytes, expected the end of a number that begins at byte {start}")


def pack_signed(value: int) -> bytes:
    """Write a number of either sign: 0, -1, 1, -2 as 0, 1, 2, 3.

    Raises:
        CodecError: If it does not fit into 32 bits.
    """
    return pack_varint(2 * value if value >= 0 else -2 * value - 1)


def unpack_signed(data: bytes, start: int) -> tuple[int, int]:
    """Read what `pack_signed` wrote, as `unpack_varint`."""
    value, end = unpack_varint(data, start)
    return (value >> 1) ^ -(value & 1), end
