# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles as bytes."""

import struct
import zlib

import numpy as np
import pytest

from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.map_tile import (
    DESCRIPTOR_SIZE,
    MAX_BYTES,
    MAX_POINTS,
    MapTile,
    pack_tile,
    unpack_tile,
)

RNG = np.random.default_rng(0)


def make_tile(count: int, spread: float = 60.0, origin: float = 5e5) -> MapTile:
    points = RNG.uniform(-spread, spread, (count, 3)) + [origin, -origin, 100.0]
    return MapTile(points, RNG.integers(-127, 128, (count, DESCRIPTOR_SIZE)).astype(np.int8))


@pytest.mark.parametrize("count", [1, 2, 17, MAX_POINTS])
def test_a_tile_comes_back(count: int) -> None:
    tile = make_tile(count)
    data = pack_tile(tile)
    assert len(data) <= MAX_BYTES
    back = unpack_tile(data)
    np.testing.assert_allclose(back.points, tile.points, atol=60.0 / 32767)  # half a step and a bit
    np.testing.assert_array_equal(back.descriptors, tile.descriptors)
    assert back.descriptors.dtype == np.int8


def test_the_largest_tile_nearly_fills_the_message() -> None:
    assert MAX_BYTES - 18 < len(pack_tile(make_tile(MAX_POINTS))) <= MAX_BYTES == 4096


def test_equal_points_come_back() -> None:
    tile = MapTile(np.full((3, 3), 7.0), np.zeros((3, DESCRIPTOR_SIZE), np.int8))
    np.testing.assert_allclose(unpack_tile(pack_tile(tile)).points, 7.0)


def test_every_damaged_byte_is_noticed() -> None:
    data = pack_tile(make_tile(5))
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        with pytest.raises(RegistrationError, match="expected"):
            unpack_tile(bytes(damaged))


def test_cut_and_lengthened_bytes_are_refused() -> None:
    data = pack_tile(make_tile(5))
    for wrong in (b"", data[:10], data[:-1], data + b"0", data + bytes(MAX_BYTES)):
        with pytest.raises(RegistrationError, match=f"got {len(wrong)}"):
            unpack_tile(wrong)


def test_another_version_is_refused_by_name() -> None:
    data = bytearray(pack_tile(make_tile(5)))
    data[4] = 9
    with pytest.raises(RegistrationError, match="expected b'KPRT' version 1 .* got b'KPRT' version 9"):
        unpack_tile(bytes(data))


def test_an_origin_that_is_not_finite_is_refused_though_the_checksum_fits() -> None:
    data = bytearray(pack_tile(make_tile(5)))
    data[12:20] = struct.pack("<d", float("nan"))
    data[8:12] = struct.pack("<I", zlib.crc32(bytes(data[12:])))
    with pytest.raises(RegistrationError, match="finite origin"):
        unpack_tile(bytes(data))


def test_what_is_no_tile_is_not_packed() -> None:
    tile = make_tile(5)
    for wrong, text in (
        (MapTile(tile.points[:0], tile.descriptors[:0]), "points, got 0"),
        (make_tile(MAX_POINTS + 1), f"got {MAX_POINTS + 1}"),
        (MapTile(np.full((5, 3), np.inf), tile.descriptors), "finite points"),
        (MapTile(tile.points, tile.descriptors[:4]), "int8 descriptors"),
        (MapTile(tile.points, tile.descriptors.astype(np.int16)), "got int16"),
    ):
        with pytest.raises(RegistrationError, match=text):
            pack_tile(wrong)
