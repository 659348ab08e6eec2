# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map in four kilobytes: a few hundred of its points, with what each one's surroundings look like.

Little-endian bytes: a header (magic, version, numbers in a descriptor, number of points, CRC-32 of all that follows,
origin, step), then positions as int16 steps from the origin, then descriptors as int8, both in progressive order.
"""

import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.registration.error import RegistrationError

Array = NDArray[Any]
MAX_BYTES = 4096
"""A message of this size fits wherever robots can talk at all."""
DESCRIPTOR_SIZE = 12
"""Numbers of a descriptor."""
_MAGIC = b"KPRT"
_VERSION = 1
_START = struct.Struct("<4sBBHI")
_PLACE = struct.Struct("<3df")
_HEADER_BYTES = _START.size + _PLACE.size
_POINT_BYTES = 3 * 2 + DESCRIPTOR_SIZE
MAX_POINTS = (MAX_BYTES - _HEADER_BYTES) // _POINT_BYTES
"""Points of the largest tile."""
_MAX_STEPS = 32767


class MapTile(NamedTuple):
    """Sampled points of a map."""

    points: Array
    """``(n, 3)`` float64, metres, map frame, the most salient first."""
    descriptors: Array
    """``(n, 12)`` int8, alike where the surroundings are alike, however the map is turned."""


def pack_tile(tile: MapTile) -> bytes:
    """Write a tile as bytes, at most :data:`MAX_BYTES`.

    Positions are rounded to 1/32767 of the largest distance from the middle along an axis: 3 mm for 100 m.

    Raises:
        RegistrationError: If there are no points, too many, one is not finite, or shapes and types do not fit.
    """
    count = len(tile.points)
    if not 0 < count <= MAX_POINTS:
        raise RegistrationError(f"tile: expected 1 to {MAX_POINTS} points, got {count}")
    if tile.points.shape != (count, 3) or not np.isfinite(tile.points).all():
        raise RegistrationError(f"tile: expected finite points ({count}, 3), got {tile.points.shape}")
    if tile.descriptors.shape != (count, DESCRIPTOR_SIZE) or tile.descriptors.dtype != np.int8:
        got = f"{tile.descriptors.dtype} {tile.descriptors.shape}"
        raise RegistrationError(f"tile: expected int8 descriptors ({count}, {DESCRIPTOR_SIZE}), got {got}")
    origin = (tile.points.min(0) + tile.points.max(0)) / 2
    step = np.float32(max(float(np.abs(tile.points - origin).max()), 1e-3) / _MAX_STEPS * (1 + 1e-6))
    steps = np.rint((tile.points - origin) / step).astype("<i2")
    body: bytes = _PLACE.pack(*origin, step) + steps.tobytes() + np.ascontiguousarray(tile.descriptors).tobytes()
    return _START.pack(_MAGIC, _VERSION, DESCRIPTOR_SIZE, count, zlib.crc32(body)) + body


def unpack_tile(data: bytes) -> MapTile:
    """Read a tile from bytes.

    Raises:
        RegistrationError: If they are no tile, of another version, cut, too long, damaged, or not finite.
    """
    if not _HEADER_BYTES < len(data) <= MAX_BYTES:
        raise RegistrationError(f"tile: expected {_HEADER_BYTES + 1} to {MAX_BYTES} bytes, got {len(data)}")
    magic, version, size, count, checksum = _START.unpack_from(data)
    if (magic, version, size) != (_MAGIC, _VERSION, DESCRIPTOR_SIZE):
        expected = f"{_MAGIC!r} version {_VERSION} with descriptors of {DESCRIPTOR_SIZE}"
        raise RegistrationError(f"tile: expected {expected}, got {magic!r} version {version} with {size}")
    if len(data) != (expected_bytes := _HEADER_BYTES + count * _POINT_BYTES):
        raise RegistrationError(f"tile: expected {expected_bytes} bytes for {count} points, got {len(data)}")
    body = data[_START.size :]
    if (got := zlib.crc32(body)) != checksum:
        raise RegistrationError(f"tile: expected the checksum {checksum:08x}, got {got:08x}")
    *origin, step = _PLACE.unpack_from(body)
    if not (np.isfinite([*origin, step]).all() and step > 0):
        raise RegistrationError(f"tile: expected a finite origin and a step above 0, got {origin} and {step}")
    steps = np.frombuffer(body, "<i2", 3 * count, _PLACE.size).reshape(count, 3)
    descriptors = np.frombuffer(body, np.int8, offset=_PLACE.size + steps.nbytes).reshape(count, DESCRIPTOR_SIZE)
    return MapTile(np.array(origin) + steps * float(step), descriptors)
