# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets, indices, payloads, tile files and whole messages of a map: refused by a CodecError, or what they say."""

import contextlib
import functools
import struct
import zlib

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

pytest.importorskip("DracoPy")
pytest.importorskip("constriction")
from kpconv_ros.codec.draco_coder import DracoCoder  # noqa: E402
from kpconv_ros.codec.error import CodecError  # noqa: E402
from kpconv_ros.codec.index import INDEX_CODER, Index, pack_index, unpack_index  # noqa: E402
from kpconv_ros.codec.latent_payload import (  # noqa: E402
    PARTS,
    LatentTables,
    LatentTile,
    pack_tile,
    unpack_tile,
)
from kpconv_ros.codec.packet import (  # noqa: E402
    MAX_PARTS,
    Packet,
    join_batch,
    pack_packet,
    split_batch,
    split_packet,
    unpack_packet,
)
from kpconv_ros.codec.range_coder import frequencies_of  # noqa: E402
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey  # noqa: E402
from kpconv_ros.codec.tile_file import TileFile, pack_tile_file, unpack_tile_file  # noqa: E402
from kpconv_ros.pipelines.map_decoder import MapDecoder  # noqa: E402

KEYS = st.builds(TileKey, st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
NEAR_KEYS = st.builds(TileKey, st.integers(-2, 2), st.integers(-2, 2))
SEQUENCES = st.integers(0, 2**32 - 1)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "zero"]), st.floats(0, 1), st.binary(min_size=1, max_size=6)),
    min_size=1,
    max_size=3,
)
SIDE, PATCHES, MOST, LEVELS, NUMBERS = 4, 4, 4, 5, 6
DRACO = DracoCoder()


def changed(data, todo):
    """Bytes after changes: places as shares of the length, and what is put there."""
    for kind, share, put in todo:
        place = int(share * max(len(data) - 1, 0))
        if kind == "cut":
            data = data[:place]
        elif kind == "insert":
            data = data[:place] + put + data[place:]
        else:
            put = bytes(len(put)) if kind == "zero" else put
            data = data[:place] + put + data[place + len(put) :]
    return data


def sealed(body):
    """A body with the checksum that fits, so that what comes after the checksum is reached."""
    return body + zlib.crc32(body).to_bytes(4, "little")


@functools.cache
def street_payload(seed):
    """What Draco makes of some points of a tile."""
    random = np.random.default_rng(seed)
    points = random.uniform((0, 0, -1), (TILE_SIZE, TILE_SIZE, 3), (60 + seed, 3)).astype(np.float32)
    return DRACO.encode(TileContent(points, random.integers(0, 4, len(points)).astype(np.uint8)), 1000)


def tile_packet(seed, key, sequence):
    return Packet(DRACO.id, DRACO.decoder_hash, key, sequence, street_payload(seed))


def check_tile(content):
    """A tile as every receiver may rely on."""
    assert content.points.dtype == np.float32 and content.points.shape == (len(content.labels), 3)
    assert len(content.points) and content.labels.dtype == np.uint8 and np.isfinite(content.points).all()
    assert content.points[:, :2].min() >= 0 and content.points[:, :2].max() <= TILE_SIZE


@st.composite
def packets(draw):
    num_parts = draw(st.integers(1, MAX_PARTS))
    part, payload = draw(st.integers(0, num_parts - 1)), draw(st.binary(max_size=60))
    coder, decoder_hash = draw(st.integers(0, 255)), draw(st.integers(0, 2**32 - 1))
    key = TileKey(draw(st.integers(-(2**31), 2**31 - 1)), draw(st.integers(-(2**31), 2**31 - 1)))
    return Packet(coder, decoder_hash, key, draw(SEQUENCES), payload, part, num_parts)


@given(packet=packets(), todo=CHANGES)
def test_a_packet_comes_back_and_a_changed_one_is_refused(packet, todo):
    data = pack_packet(packet)
    assert unpack_packet(data) == packet
    other = changed(data, todo)
    if other != data:
        with pytest.raises(CodecError):
            unpack_packet(other)


BODIES = st.builds(lambda packet, todo: changed(pack_packet(packet)[:-4], todo), packets(), CHANGES) | st.builds(
    lambda head, rest: bytes([0x10 | head]) + rest, st.integers(0, 15), st.binary(max_size=60)
)


@given(body=BODIES)
def test_a_body_with_a_fitting_checksum_is_refused_or_the_one_packet_of_these_bytes(body):
    try:
        packet = unpack_packet(sealed(body))
    except CodecError:
        return
    assert pack_packet(packet) == sealed(body)
    assert 0 <= packet.part < packet.num_parts


@given(data=st.binary(max_size=100) | st.builds(join_batch, st.lists(st.binary(max_size=30), max_size=5)))
def test_a_message_is_refused_or_the_one_batch_of_these_bytes(data):
    with contextlib.suppress(CodecError):
        assert join_batch(split_batch(data)) == data


@given(packet=packets(), max_bytes=st.integers(1, 90))
def test_parts_join_to_the_payload(packet, max_bytes):
    whole = packet._replace(part=0, num_parts=1)
    with contextlib.suppress(CodecError):
        parts = split_packet(whole, max_bytes)
        assert b"".join(part.payload for part in parts) == whole.payload
        assert all(len(pack_packet(part)) <= max_bytes for part in parts)


@given(data=st.data())
def test_an_index_comes_back_and_any_other_bytes_are_refused_or_an_index(data):
    newest = data.draw(SEQUENCES)
    near = st.tuples(NEAR_KEYS, st.integers(0, newest))
    index = Index(data.draw(st.text(max_size=9)), newest, data.draw(st.lists(near, max_size=6)))
    packed = pack_index(index)
    assert unpack_index(packed) == index
    try:
        found = unpack_index(data.draw(st.just(changed(packed, data.draw(CHANGES))) | st.binary(max_size=40)))
    except CodecError:
        return
    assert all(0 <= sequence <= found.newest for _, sequence in found.sequences)


@given(seed=st.integers(0, 30), todo=CHANGES)
def test_a_changed_draco_payload_is_refused_or_a_tile(seed, todo):
    with contextlib.suppress(CodecError):
        check_tile(DRACO.decode(changed(street_payload(seed), todo)))


@given(data=st.binary(max_size=200))
def test_any_bytes_as_a_draco_payload_are_refused_or_a_tile(data):
    with contextlib.suppress(CodecError):
        check_tile(DRACO.decode(data))


@functools.cache
def tables():
    random = np.random.default_rng(0)
    return LatentTables(
        frequencies_of(random.random((17, 17))),
        frequencies_of(random.random((1, 256))),
        frequencies_of(random.random((LEVELS, NUMBERS, 2 * MOST + 1)) ** 4),
        np.array([1024, 2048, 8192, 16384], np.int32),
        SIDE,
    )


@functools.cache
def latent_payload(seed):
    random, num = np.random.default_rng(seed), SIDE**2
    classes = random.integers(0, 17, num)
    classes[seed % num] = 3
    grounds = np.where(classes > 0, random.integers(-60, 60, num), 0)
    filled = int((classes > 0).sum())
    labels = random.integers(0, 4, (filled, PATCHES)).astype(np.uint8) if seed % 2 else None
    numbers, parts = random.integers(-MOST, MOST + 1, (filled, NUMBERS)), random.integers(0, PARTS, filled)
    return pack_tile(LatentTile(2, classes, grounds, numbers, parts, labels), tables())


@given(data=st.builds(lambda seed, todo: changed(latent_payload(seed), todo), st.integers(0, 20), CHANGES)
       | st.binary(max_size=80))  # fmt: skip
def test_any_bytes_as_a_latent_payload_are_refused_or_the_one_tile_of_these_bytes(data):
    try:
        tile = unpack_tile(data, tables(), PATCHES)
    except CodecError:
        return
    assert pack_tile(tile, tables()) == data
    assert 0 <= tile.level < LEVELS and np.abs(tile.numbers).max(initial=0) <= MOST and (tile.classes < 17).all()


@given(origin=st.tuples(*[st.floats(width=64)] * 3), listed=st.lists(packets(), max_size=4), todo=CHANGES | st.just([]))
def test_a_file_of_tiles_comes_back_and_a_changed_one_is_refused_or_finite(origin, listed, todo):
    data = changed(pack_tile_file(TileFile(origin, listed)), todo)
    try:
        file = unpack_tile_file(data)
    except CodecError:
        assert todo or not np.isfinite(origin).all()
        return
    assert np.isfinite(file.origin).all()
    assert list(file.packets) == listed[: len(file.packets)]


@given(head=st.binary(min_size=29, max_size=29), rest=st.binary(max_size=60))
def test_any_bytes_as_a_file_of_tiles_are_refused_or_finite(head, rest):
    head = b"KPTM\x01" + head[5:]
    with contextlib.suppress(CodecError):
        assert np.isfinite(unpack_tile_file(head + struct.pack("<I", zlib.crc32(head)) + rest).origin).all()


@st.composite
def messages(draw):
    """What comes over a link: good packets in any order, doubled, in parts, and damaged or sealed nonsense between."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        packet = tile_packet(draw(st.integers(0, 3)), draw(NEAR_KEYS), draw(st.integers(0, 6)))
        kind = draw(st.sampled_from(["good", "good", "parts", "index", "damaged", "sealed", "foreign"]))
        if kind == "parts":
            found += [pack_packet(part) for part in split_packet(packet, 60) if draw(st.booleans())]
        elif kind == "index":
            index = pack_index(Index("odom", 9, [(packet.key, packet.sequence)]))
            found.append(pack_packet(Packet(INDEX_CODER, 0, TileKey(0, 0), 9, index)))
        elif kind == "damaged":
            found.append(changed(pack_packet(packet), draw(CHANGES)))
        elif kind == "sealed":
            found.append(sealed(changed(pack_packet(packet)[:-4], draw(CHANGES))))
        else:
            found.append(pack_packet(packet if kind == "good" else packet._replace(decoder_hash=7)))
    data = join_batch(found)
    return draw(st.integers(1, 3)), changed(data, draw(CHANGES)) if draw(st.integers(0, 9)) == 0 else data


@given(sent=st.lists(messages(), max_size=6))
def test_a_receiver_survives_all_messages_and_shows_the_newest_good_code_of_each_tile(sent):
    decoder, newest, parted, ended, session = MapDecoder(), {}, set(), set(), None
    for now, (sender, data) in enumerate(sent):
        decoder.receive(sender, data, float(now))
        missing = decoder.missing(float(now))
        assert len(missing.absent) + len(missing.lost) <= 24
        if sender in ended or not (whole := packets_of(data)):
            continue
        if sender != session:
            ended |= {session} - {None}
            session, newest = sender, {}
        for packet in whole:
            note_newest(newest, packet)
        parted |= {packet.key for packet in whole if packet.num_parts > 1}
    assert decoder.session == session
    points, labels = decoder.points()
    assert len(points) == len(labels) and np.isfinite(points).all()
    shown = decoder.contents()
    for content in shown.values():
        check_tile(content)
    for key, (_, content) in newest.items() if not ended else ():  # else older ones lie around the newest
        assert key in shown and (key in parted or np.array_equal(shown[key].points, content.points))


def packets_of(data):
    """The whole packets of a message; of one that is no batch, none."""
    found = []
    with contextlib.suppress(CodecError):
        for packet in split_batch(data):
            with contextlib.suppress(CodecError):
                found.append(unpack_packet(packet))
    return found


def note_newest(newest, packet):
    """Keep the newest whole code of a tile that can be decoded."""
    known = newest.get(packet.key, (-1, None))[0]
    if packet.coder == INDEX_CODER or packet.num_parts > 1 or packet.sequence <= known:
        return
    if packet.coder == DRACO.id and packet.decoder_hash == DRACO.decoder_hash:
        with contextlib.suppress(CodecError):
            newest[packet.key] = packet.sequence, DRACO.decode(packet.payload)
