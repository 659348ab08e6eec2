# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder together: the map arrives, whatever happens to the messages between them."""

import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

from kpconv_ros.codec.draco_coder import DracoCoder
from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.packet import join_batch, split_batch, unpack_packet
from kpconv_ros.codec.tile import TileContent
from kpconv_ros.config_io import ConfigError
from kpconv_ros.pipelines.map_decoder import MapDecoder, MapDecoderConfig, lay_over
from kpconv_ros.pipelines.map_encoder import MapEncoder, MapEncoderConfig
from kpconv_ros.pipelines.tile_codec import TileCodec, chamfer_distance

STEP = 0.2  # s
CONFIG = MapEncoderConfig(levels=(300, 900, 2000), voxel_size=0.25)


class OtherCoder(DracoCoder):
    """Another coder of the same payloads: with a number, name and decoder of its own."""

    def __init__(self, number, decoder_hash=77, least=0):
        self.id, self.name, self.decoder_hash, self.least = number, f"other{number}", decoder_hash, least

    def encode(self, content, max_bytes):
        return super().encode(content, max_bytes) if max_bytes >= self.least else None


def street(x, seed=0, reach=20.0):
    """Ground and walls about a place on a street along x, map frame."""
    random = np.random.default_rng([seed, int(x * 10)])
    ground = random.uniform((x - reach, -8, -0.05), (x + reach, 8, 0.05), (1200, 3))
    walls = random.uniform((x - reach, 0, 0), (x + reach, 0.2, 5.0), (600, 3))
    walls[:, 1] += np.where(np.arange(600) % 2, 8.0, -8.2)
    return np.concatenate([ground, walls]), np.repeat([1, 2], [1200, 600]).astype(np.uint8)


class Scene:
    """A robot that drives at 10 m/s, a channel and a receiver, in simulated time."""

    def __init__(self, config=CONFIG, codecs=(None, None), decoder=None):
        self.config, self.now = config, 0.0
        self.codecs = codecs
        self.channel = lambda messages: messages
        self.decoder = decoder or MapDecoder(codec=codecs[1])
        self.errors, self.bytes_at, self.asked_at, self.seen_at = [], [], -1.0, -1.0
        self.start_encoder(1)

    def start_encoder(self, session):
        self.session, self.encoder = session, MapEncoder(self.config, self.now, self.codecs[0])

    def run(self, seconds, drives=True):
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            if drives and self.now - self.seen_at >= 0.4:
                self.seen_at = self.now
                points, labels = street(10.0 * self.now)
                self.encoder.insert(points, labels, np.array([10.0 * self.now, 0.0, 1.8]), "odom", self.now)
            messages = []
            while (message := self.encoder.next_message(self.now)) is not None:
                messages.append((self.session, message))
                self.bytes_at.append((self.now, len(message) + self.config.message_overhead))
            for session, message in self.channel(messages):
                self.errors += self.decoder.receive(session, message, self.now).errors
            if self.now - self.asked_at >= 1.0:
                self.asked_at = self.now
                missing = self.decoder.missing(self.now)
                if self.channel([(self.session, None)]) and self.decoder.session == self.session:
                    if missing.everything:
                        self.encoder.announce_all()
                    self.encoder.request(missing.absent, missing.lost, self.now)
        return self

    def share_shown(self, within=1.5):
        """Share of the encoder's points that have a decoded one near."""
        points, _ = self.decoder.points()
        tiles = self.encoder._map.tiles
        truth = np.concatenate([tile.points + (20.0 * key[0], 20.0 * key[1], 0.0) for key, tile in tiles.items()])
        return float((cKDTree(points).query(truth)[0] < within).mean()) if len(points) else 0.0

    def all_is_there(self):
        """Every tile has the newest code that was sent."""
        sequences = {key: state.sequence for key, state in self.encoder._schedule.states.items() if state.sequence > 0}
        return {key: self.decoder._tiles[key].sequence for key in sequences if key in self.decoder._tiles} == sequences


def distortions(scene):
    """Chamfer distance of each tile that is shown."""
    return {key: chamfer_distance(scene.encoder.tile(key), shown) for key, shown in scene.decoder.contents().items()}


def drop(share, seed=0):
    random = np.random.default_rng(seed)
    return lambda messages: [message for message in messages if random.random() >= share]


def test_the_map_arrives_with_its_labels_and_frame():
    scene = Scene().run(5.0).run(5.0, drives=False)
    assert scene.decoder.frame == "odom" and not scene.errors
    assert scene.all_is_there() and scene.share_shown() == 1.0
    points, labels = scene.decoder.points()
    is_wall = points[:, 2] > 1.5
    assert (labels[is_wall] == 2).mean() > 0.99 and (labels[np.abs(points[:, 1]) < 5] == 1).mean() > 0.99
    assert {tile.coder for tile in scene.encoder.sent.values()} == {"draco"}


def test_what_is_sent_stays_below_the_rate_over_every_stretch():
    config = MapEncoderConfig(levels=(300, 900), voxel_size=0.25, rate=24000.0, burst=1.0)
    scene = Scene(config).run(6.0)
    at, sizes = np.array(scene.bytes_at).T
    cap, sent = 3000 * (1 - config.reserve), np.r_[0, np.cumsum(sizes)]
    for first in range(len(at)):
        assert (sent[first + 1 :] - sent[first] <= cap * config.burst + cap * (at[first:] - at[first]) + 1).all()
        assert sent[np.searchsorted(at, at[first] + 1.0 - 1e-9)] - sent[first] <= cap  # in any second, too
    assert sizes.sum() > 0.8 * cap * 6.0
    assert scene.encoder.num_bytes == sizes.sum() and sizes.max() <= config.max_message + config.message_overhead


def test_a_whole_message_passes_a_link_that_takes_more_than_a_second_for_it():
    config = MapEncoderConfig(levels=(300, 2000), voxel_size=0.25, rate=9600.0, burst=1.5)
    scene = Scene(config).run(1.0).run(40.0, drives=False)
    assert scene.all_is_there() and max(size for _, size in scene.bytes_at) > 1400


def test_codes_become_finer_while_there_is_room():
    scene = Scene().run(1.0)
    coarse = distortions(scene)
    scene.run(20.0, drives=False)
    fine = distortions(scene)
    assert np.mean([fine[key] for key in coarse]) < 0.7 * np.mean(list(coarse.values()))
    levels = {key: tile.level for key, tile in scene.encoder.sent.items()}
    as_fine_as_can_be = {key for key, tile in scene.encoder.sent.items() if tile.num_bytes < 0.6 * 900}
    assert 2 in levels.values() and all(level == 2 or key in as_fine_as_can_be for key, level in levels.items())
    assert not scene.encoder.backlog()[0]


def test_a_fifth_of_all_messages_may_be_lost():
    scene = Scene()
    scene.channel = drop(0.2)
    scene.run(5.0).run(20.0, drives=False)
    assert scene.all_is_there() and scene.share_shown() == 1.0
    assert scene.decoder.count_missing() == (0, 0)


def test_messages_may_come_twice_and_in_any_order():
    scene, random, held = Scene(), np.random.default_rng(0), []

    def shuffle(messages):
        if messages and messages[0][1] is None:
            return messages
        held.extend(messages * 2)
        random.shuffle(held)
        out = [held.pop() for _ in range(len(held) // 2)]
        return [(int(session), message) for session, message in out]

    scene.channel = shuffle
    scene.run(5.0).run(20.0, drives=False)
    assert not scene.errors and scene.all_is_there() and scene.share_shown() == 1.0


def test_an_older_code_does_not_replace_a_newer_one():
    scene, sent = Scene(), []
    scene.channel = lambda messages: sent.extend(messages) or messages
    scene.run(3.0)
    before = scene.decoder.contents()
    for session, message in sent:
        if message is not None:
            assert scene.decoder.receive(session, message, scene.now).num_tiles == 0
    assert all(scene.decoder.contents()[key] is content for key, content in before.items())


def test_a_cut_of_some_seconds_heals():
    scene = Scene().run(3.0)
    scene.channel = lambda messages: []
    scene.run(4.0)
    scene.channel = lambda messages: messages
    assert not scene.all_is_there()
    scene.run(12.0, drives=False)
    assert scene.all_is_there() and scene.share_shown() == 1.0


def test_a_receiver_that_comes_late_gets_everything():
    scene = Scene()
    scene.channel = lambda messages: []
    scene.run(5.0)
    scene.channel = lambda messages: messages
    scene.run(15.0, drives=False)
    assert scene.all_is_there() and scene.share_shown() == 1.0


def test_after_a_restart_of_the_sender_the_old_tiles_stay_until_they_are_replaced():
    scene, old = Scene().run(5.0), []
    shown = set(scene.decoder.contents())
    scene.channel = lambda messages: old.extend(messages) or messages
    scene.run(1.0)
    scene.start_encoder(2)
    scene.run(3.0)
    assert shown <= set(scene.decoder.contents())
    assert scene.decoder.session == 2
    before = scene.decoder.count_missing()
    for session, message in old:  # stragglers
        if message is not None:
            assert scene.decoder.receive(session, message, scene.now) == (0, [])
    assert scene.decoder.session == 2 and scene.decoder.count_missing() == before
    scene.run(12.0, drives=False)
    assert scene.all_is_there() and scene.share_shown() == 1.0


def test_a_restarted_sender_replaces_what_it_sees_and_no_more():
    old = TileContent(np.array([[1, 1, 0], [5, 5, 0], [5, 6, 0]], np.float32), np.array([1, 2, 3], np.uint8))
    new = TileContent(np.array([[5.1, 5, 0]], np.float32), np.array([9], np.uint8))
    laid = lay_over(new, old)
    np.testing.assert_array_equal(laid.points, np.float32([[5.1, 5, 0], [1, 1, 0], [5, 6, 0]]))
    assert laid.labels.tolist() == [9, 1, 3]


def test_where_the_frame_begins_anew_the_old_tiles_go():
    scene = Scene(decoder=MapDecoder(MapDecoderConfig(keep_after_restart=False))).run(5.0)
    scene.start_encoder(2)
    scene.run(0.5)
    assert set(scene.decoder.contents()) <= {tuple(key) for key in scene.encoder._map.tiles}


def test_a_receiver_with_another_decoder_says_so_and_shows_nothing():
    codecs = [TileCodec([OtherCoder(2, decoder_hash=number)]) for number in (0xABCD0001, 0xABCD0002)]
    scene = Scene(codecs=codecs).run(3.0)
    assert scene.decoder.num_tiles() == 0 and len(scene.decoder.points()[0]) == 0
    assert any("abcd0001, expected abcd0002" in error for error in scene.errors)
    assert len(scene.errors) == scene.decoder.num_refused > 0
    missing = scene.decoder.missing(scene.now + 10.0)
    refused = {tuple(key) for key, tile in scene.decoder._tiles.items() if 0 <= tile.announced <= tile.refused}
    assert refused and not refused & set(missing.absent + missing.lost)  # not asked for again


def test_a_coder_that_the_receiver_lacks_is_named():
    scene = Scene(codecs=(TileCodec([OtherCoder(9)]), TileCodec())).run(1.0)
    assert scene.decoder.num_tiles() == 0
    assert "coder 9, expected one of 1 (draco)" in scene.errors[0]


def test_damaged_bytes_end_no_session():
    scene = Scene().run(1.0)
    shown = scene.decoder.num_tiles()
    assert scene.decoder.receive(99, b"\x03abc", scene.now).errors and scene.decoder.session == 1
    scene.run(2.0)
    assert scene.decoder.num_tiles() > shown


def test_a_tile_that_no_coder_can_say_holds_up_nothing():
    scene = Scene()
    tower = np.stack([np.full(600, 205.0), np.full(600, 5.0), np.linspace(0.0, 599.0, 600)], axis=1)
    scene.encoder.insert(tower, np.ones(600, np.uint8), np.zeros(3), "odom", 0.0)
    scene.run(3.0).run(5.0, drives=False)
    assert (10, 0) in scene.encoder._map.tiles and (10, 0) not in scene.encoder.sent
    assert len(scene.encoder.sent) == scene.encoder.num_tiles() - 1 == scene.decoder.num_tiles()


def test_every_damaged_message_leaves_the_map_as_it_is():
    scene, sent = Scene(), []
    scene.channel = lambda messages: sent.extend(messages) or messages
    scene.run(1.0)
    message = next(message for _, message in sent if message)
    random, fresh = np.random.default_rng(0), MapDecoder()
    truth = [unpack_packet(packet) for packet in split_batch(message)]
    for _ in range(200):
        damaged = bytearray(message)
        damaged[random.integers(len(damaged))] ^= 1 << int(random.integers(8))
        fresh.receive(1, bytes(damaged), 0.0)
    fresh.receive(1, message, 0.0)
    for packet in truth:
        if packet.coder and packet.num_parts == 1:
            expected = DracoCoder().decode(packet.payload)
            np.testing.assert_array_equal(fresh.contents()[packet.key].points, expected.points)


def test_requests_are_few_and_not_repeated_at_once():
    decoder = MapDecoder(MapDecoderConfig(request_tiles=5))
    scene = Scene()
    indices = []
    scene.channel = lambda messages: []
    original = scene.encoder._pack_index
    scene.encoder._pack_index = lambda: indices.append(original()) or indices[-1]
    scene.run(6.0)
    decoder.receive(1, join_batch(indices), 10.0)
    assert decoder.missing(10.0).everything  # these were the first messages
    assert decoder.missing(10.1) == ([], [], False)  # may still be on its way
    first, second = decoder.missing(11.0), decoder.missing(11.5)
    assert len(first.absent) == 5 and not first.lost
    assert not set(first.absent) & set(second.absent)
    everything = decoder.count_missing()[0]
    for _ in range(100):
        decoder.missing(11.6)
    assert decoder.missing(12.0) == ([], [], False)
    assert everything > 5 and len(decoder.missing(15.0).absent) == 5


def test_after_a_silence_all_is_listed_at_once():
    scene = Scene().run(4.0)
    fresh, lists = MapDecoder(), []
    scene.encoder.announce_all()
    while (message := scene.encoder.next_message(scene.now)) is None:
        scene.now += STEP
    lists.append(message)
    fresh.receive(1, lists[0], 0.0)
    assert fresh.count_missing()[0] + fresh.num_tiles() >= len(scene.encoder.sent) - 1
    assert not scene.decoder.missing(scene.now).everything
    scene.decoder.receive(1, lists[0], scene.now + 60.0)
    assert scene.decoder.missing(scene.now + 60.0).everything
    assert not scene.decoder.missing(scene.now + 60.1).everything  # asked once


def test_the_coder_is_picked_by_the_bytes_a_point():
    tile = TileContent(np.random.default_rng(0).uniform(0, 20, (4000, 3)).astype(np.float32), np.ones(4000, np.uint8))
    low, high = OtherCoder(2), OtherCoder(3, least=600)
    codec = TileCodec([low, high], crossover=0.2)
    assert codec.encode(tile, 700).coder is low and not codec.encode(tile, 700).is_finest  # 0.175 bytes a point
    coded = codec.encode(tile, 900)
    assert coded.coder is high and coded.is_finest and len(coded.payload) <= 900
    assert TileCodec([low, high], crossover=0.1).encode(tile, 500).coder is low  # above, but the other one cannot
    assert codec.encode(tile, 10) is None


def test_of_short_codes_of_tiles_with_few_points_the_nearest_is_taken():
    class Shifted(OtherCoder):
        def decode(self, payload):
            content = super().decode(payload)
            return TileContent(content.points + np.float32([0, 0, 1]), content.labels)

    points = np.random.default_rng(0).uniform(0, 20, (60, 3)).astype(np.float32)
    tile, right = TileContent(points, np.ones(60, np.uint8)), OtherCoder(3)
    for coders in ([Shifted(2), right], [right, Shifted(2)]):
        assert TileCodec(coders, crossover=0.1).encode(tile, 190).coder is right


def test_where_latents_say_no_more_the_next_level_is_taken():
    class Latents(OtherCoder):
        def encode(self, content, max_bytes):
            return super().encode(content, min(max_bytes, 250))

    scene = Scene(codecs=[TileCodec([Latents(2), DracoCoder()], crossover=1.0)] * 2).run(1.0).run(15.0, drives=False)
    levels = {key: (tile.level, tile.coder) for key, tile in scene.encoder.sent.items()}
    assert (2, "draco") in levels.values() and not any(
        level == 1 and coder != "draco" for level, coder in levels.values()
    )
    assert not scene.errors and scene.all_is_there()


def test_coders_need_numbers_of_their_own():
    for ids in ([], [0], [2, 2]):
        with pytest.raises(CodecError, match="each number once"):
            TileCodec([OtherCoder(number) for number in ids])


def test_chamfer_distance_by_hand():
    one = TileContent(np.array([[0, 0, 0], [1, 0, 0]], np.float32), np.zeros(2, np.uint8))
    other = TileContent(np.array([[0, 0, 2]], np.float32), np.zeros(1, np.uint8))
    assert chamfer_distance(one, other) == pytest.approx(((2 + math.sqrt(5)) / 2 + 2) / 2)


@pytest.mark.parametrize("wrong", [{"levels": ()}, {"levels": (500, 300)}, {"burst": 0.15}, {"rate": 5000.0}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError):
        MapEncoderConfig(**wrong)
