# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets come back as they were, are small, and are refused when a bit is wrong or a byte is missing."""

import zlib

import numpy as np
import pytest

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.packet import (
    MAX_OVERHEAD,
    MAX_PARTS,
    Packet,
    join_batch,
    pack_packet,
    split_batch,
    split_packet,
    unpack_packet,
)
from kpconv_ros.codec.tile import TileKey

PACKET = Packet(7, 0xDEADBEEF, TileKey(-3, 12), 300, bytes(range(60)))


@pytest.mark.parametrize("key", [(0, 0), (-1, 1), (63, -64), (64, -65), (8191, -8192), (2**30, -(2**30))])
@pytest.mark.parametrize("sequence", [0, 127, 128, 2**21 - 1, 2**32 - 1])
@pytest.mark.parametrize("parts", [(0, 1), (0, 2), (15, 16)])
def test_what_is_packed_comes_back(key, sequence, parts):
    packet = Packet(255, 2**32 - 1, TileKey(*key), sequence, b"payload", *parts)
    assert unpack_packet(pack_packet(packet)) == packet


def test_bytes_by_hand():
    body = bytes([0x10, 7, 0xEF, 0xBE, 0xAD, 0xDE, 5, 24, 0xAC, 0x02]) + PACKET.payload
    assert pack_packet(PACKET) == body + zlib.crc32(body).to_bytes(4, "little")


def test_a_packet_adds_at_most_18_bytes_within_160_km():
    near = PACKET._replace(key=TileKey(30, -30), sequence=100, payload=b"")
    far = near._replace(key=TileKey(8191, -8192), sequence=2**21 - 1, part=3, num_parts=4)
    assert len(pack_packet(near)) == 13
    assert len(pack_packet(far)) == MAX_OVERHEAD == 18


def test_a_part_of_a_tile_far_away_is_still_small():
    assert len(pack_packet(PACKET._replace(payload=b"", key=TileKey(63, -64), sequence=2**14 - 1))) == 14


def test_every_truncation_is_refused():
    data = pack_packet(PACKET)
    for length in range(len(data)):
        with pytest.raises(CodecError):
            unpack_packet(data[:length])


def test_every_flipped_bit_is_refused():
    data = pack_packet(PACKET)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            unpack_packet(bytes(damaged))


def test_more_bytes_are_refused():
    with pytest.raises(CodecError):
        unpack_packet(pack_packet(PACKET) + b"\0")


def test_random_bytes_with_a_right_checksum_are_a_packet_or_a_codec_error():
    random, refused = np.random.default_rng(0), 0
    for _ in range(2000):
        body = random.integers(0, 256, random.integers(1, 20), np.uint8).tobytes()
        body = bytes([0x10 | body[0] & 0xF]) + body[1:]
        try:
            packet = unpack_packet(body + zlib.crc32(body).to_bytes(4, "little"))
        except CodecError:
            refused += 1
        else:
            assert pack_packet(packet)[:-4] == body
    assert 0 < refused < 2000


def test_another_version_is_named():
    body = bytes([0x20]) + pack_packet(PACKET)[1:-4]
    with pytest.raises(CodecError, match="version 2, expected 1"):
        unpack_packet(body + zlib.crc32(body).to_bytes(4, "little"))


@pytest.mark.parametrize("wrong", [{"coder": 256}, {"decoder_hash": 2**32}, {"sequence": 2**32}, {"sequence": -1},
                                   {"part": 1}, {"num_parts": MAX_PARTS + 1}])  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(wrong):
    with pytest.raises(CodecError):
        pack_packet(PACKET._replace(**wrong))


@pytest.mark.parametrize("max_bytes", [30, 40, 70, 75])
def test_parts_fit_and_join_to_the_payload(max_bytes):
    parts = split_packet(PACKET, max_bytes)
    assert all(len(pack_packet(part)) <= max_bytes for part in parts)
    assert b"".join(part.payload for part in parts) == PACKET.payload
    assert [part.part for part in parts] == list(range(len(parts))) and {part.num_parts for part in parts} == {
        len(parts)
    }


def test_a_packet_that_fits_is_left_whole():
    assert split_packet(PACKET, len(pack_packet(PACKET))) == [PACKET]


def test_too_many_parts_are_refused():
    with pytest.raises(CodecError, match="at most 16 parts"):
        split_packet(PACKET, 17)


def test_a_batch_comes_back():
    packets = [b"", b"a" * 127, b"b" * 128, pack_packet(PACKET)]
    assert split_batch(join_batch(packets)) == packets
    assert split_batch(b"") == []


def test_a_cut_batch_is_refused():
    data = join_batch([b"a" * 200])
    for length in range(1, len(data)):
        with pytest.raises(CodecError):
            split_batch(data[:length])
