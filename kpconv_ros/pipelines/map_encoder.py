# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A growing map in, messages for a thin link out: the most useful tiles first, never above a rate of bits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.index import INDEX_CODER, Index, pack_index
from kpconv_ros.codec.packet import Packet, join_batch, pack_packet, split_packet
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.codec.varint import pack_varint
from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.mapping.tile_map import TileMap
from kpconv_ros.mapping.tile_schedule import Choice, Code, TileSchedule, TileScheduleConfig
from kpconv_ros.mapping.token_bucket import TokenBucket
from kpconv_ros.mapping.window_cap import WindowCap
from kpconv_ros.pipelines.tile_codec import CodedTile, TileCodec, measure

Array = NDArray[Any]
INDEX_TILES = 20  # in one index, about 80 bytes
ALL_TILES = 200  # in one of those that list all, about a message
LIMITED = 0.6
"""A code of a smaller share of its level's bytes was as fine as its coder can."""
MEASURE_PERIOD = 2.0  # s
MEASURED_TILES = 50
CAP_WINDOW = 1.0  # s in which no more than the rate is sent, whatever was saved up
LEAST_ROOM = 0.5  # of a message; below it, its headers cost too much
NEWS_REPEATS = 2  # indices that tell of what was sent; one may be lost


@dataclass(frozen=True)
class MapEncoderConfig:
    """What is kept of a map and how it is sent."""

    voxel_size: float = param(0.2, "one point of each such voxel is kept; a part of 20 m without remainder [m]",
                              0.02, 2.0)  # fmt: skip
    max_range: float = param(40.0, "points farther than this from the sensor are left out [m]", 1.0, 1000.0, live=True)
    levels: tuple[int, ...] = param(
        (128, 500, 1100, 2300, 4600), "most bytes of a tile's codes, coarse to fine", 64, 16000
    )
    rate: float = param(64000.0, "hard cap of what is sent, headers included [bit/s]", 1000.0, 1e9)
    reserve: float = param(0.18, "share of the rate that is left to the middleware's own messages", 0.0, 0.9)
    max_message: int = param(1240, "most bytes of packets in a message, so that it stays below the MTU", 128, 60000)
    message_overhead: int = param(190, "bytes that a message costs beside them: Ethernet, IP, UDP and RTPS headers",
                                  0, 2000)  # fmt: skip
    burst: float = param(0.25, "time for which rate may be saved up [s]", 0.05, 60.0)
    index_period: float = param(0.5, "time between two lists of what was sent [s]", 0.1, 60.0)
    schedule: TileScheduleConfig = param(TileScheduleConfig, "what makes a tile useful")

    def __post_init__(self) -> None:
        """Check the levels and that a message can pass."""
        if not self.levels or list(self.levels) != sorted(set(self.levels)):
            raise ConfigError(f"levels: got {self.levels}, expected rising numbers of bytes")
        room = self.burst * self.rate * (1 - self.reserve) / 8
        if room < self.max_message + self.message_overhead:
            needed = self.max_message + self.message_overhead
            raise ConfigError(f"burst: got {self.burst} s, which is {room:.0f} bytes, expected room for {needed}")


class SentTile(NamedTuple):
    """What was sent of a tile last."""

    key: TileKey
    coder: str
    num_bytes: int
    """With the packets' own bytes, without those of messages."""
    level: int


class _Made(NamedTuple):
    """A code of a tile, kept for those who lost it."""

    coded: CodedTile
    code: Code
    packets: Sequence[bytes]


class MapEncoder:
    """Keeps the tiles of a map, and knows what was sent of each."""

    def __init__(self, config: MapEncoderConfig, now: float, codec: TileCodec | None = None) -> None:
        """Begin with an empty map.

        Args:
            config: What is kept and how it is sent.
            now: Time, seconds, of a clock that does not jump; so are all times below.
            codec: Coders of tiles; Draco alone if not given.

        Raises:
            MappingError: If the voxels do not fit into a tile.
        """
        self.config = config
        self._codec = codec or TileCodec()
        self._map = TileMap(TILE_SIZE, config.voxel_size)
        self._schedule = TileSchedule(config.schedule, config.levels, TILE_SIZE)
        cap = config.rate * (1 - config.reserve)
        self._bucket = TokenBucket(cap, int(cap / 8 * config.burst), now)
        window = max(CAP_WINDOW, config.burst)  # the longest message passes
        self._cap = WindowCap(cap / 8 * window, window)
        self._sequence = 0
        self._position = (0.0, 0.0)
        self._frame = ""
        self._outbox: deque[bytes] = deque()
        self._made: dict[TileKey, dict[int, _Made]] = {}
        self._indexed_at = now - config.index_period
        self._in_turn: deque[TileKey] = deque()
        self._news: dict[TileKey, int] = {}
        self._measured_at = now - MEASURE_PERIOD
        self.sent: dict[TileKey, SentTile] = {}
        self.distortions = [deque[float](maxlen=MEASURED_TILES) for _ in config.levels]
        """Of each level, Chamfer distances of some codes that were sent lately, metres."""
        self.num_bytes = 0
        """Sent so far, with the overhead of messages."""
        self.sent_of_level: dict[int, tuple[int, int]] = {}
        """Of each level, how many codes were sent so far, and their bytes without messages."""
        self.num_encoded = 0
        """Codes that were made so far."""

    def insert(self, points: Array, labels: Array, position: Array, frame: str, now: float) -> int:
        """Add points of a map.

        Args:
            points: ``(N, 3)``, metres, map frame.
            labels: ``(N,)`` uint8, 0 is unknown.
            position: Where the robot is, ``(3,)``, metres, map frame.
            frame: Name of the map frame.
            now: Time, seconds.

        Returns:
            How many voxels are new or have another label.

        Raises:
            MappingError: If the shapes do not fit.
        """
        self._frame, self._position = frame, (float(position[0]), float(position[1]))
        changed = self._map.insert(points, labels)
        for key, count in changed.items():
            self._schedule.note_change(key, len(self._map.tiles[key].voxels), count, now)
        return sum(changed.values())

    def insert_scan(self, points: Array, labels: Array, position: Array, frame: str, now: float) -> int:
        """Add points of a scan that was laid into the map, as `insert`, up to ``max_range`` from the sensor."""
        near = np.square(points[:, :2] - position[:2]).sum(axis=1) <= self.config.max_range**2
        return self.insert(points[near], labels[near], position, frame, now)

    def request(self, absent: Iterable[tuple[int, int]], lost: Iterable[tuple[int, int]], now: float) -> None:
        """The receiver has nothing of some tiles, and lacks the last code of others."""
        self._schedule.note_absent(absent, now)
        self._schedule.note_lost(lost, now)

    def announce_all(self) -> None:
        """List all that was sent, nearest first: the receiver was long without messages."""
        keys = sorted(self.sent, key=lambda key: self._schedule.distance(key, self._position))
        starts = range(0, len(keys), ALL_TILES)
        lists = [self._index_of(keys[start : start + ALL_TILES]) for start in starts]
        self._outbox.extendleft(reversed(lists))  # before the codes that are ready

    def next_message(self, now: float) -> bytes | None:
        """Packets for one message, joined; None while nothing is to be sent or the rate does not allow it."""
        config = self.config
        self._prepare(now)
        if not self._bucket.has(config.max_message + config.message_overhead, now):
            return None
        room = self._cap.room(now) - config.message_overhead
        if room < LEAST_ROOM * config.max_message:
            return None
        batch: list[bytes] = []
        size = 0
        while (packet := self._next_packet(now)) is not None:
            size += _size_in_batch(packet)
            if size > (min(room, config.max_message) if batch else room):
                break
            batch.append(self._outbox.popleft())
        if not batch:
            return None
        message = join_batch(batch)
        size = len(message) + config.message_overhead
        self._bucket.take(size, now)
        self._cap.take(size, now)
        self.num_bytes += size
        return message

    def backlog(self) -> tuple[int, int]:
        """Tiles, and bytes of their codes, that wait to be sent."""
        tiles, num_bytes = self._schedule.backlog()
        return tiles, num_bytes + sum(map(len, self._outbox))

    def num_tiles(self) -> int:
        """Tiles of the map."""
        return len(self._map.tiles)

    def tile(self, key: TileKey) -> TileContent:
        """What the map has of a tile."""
        tile = self._map.tiles[key]
        return TileContent(tile.points, tile.labels)

    def _prepare(self, now: float) -> None:
        """Encode what fills a message while the bucket fills: in turn, part of the rate would stay unused."""
        while sum(map(_size_in_batch, self._outbox)) <= self.config.max_message:
            choice = self._schedule.choose(self._position, now)
            if choice is None:
                return
            self._outbox.extend(self._packets_of(choice, now))

    def _next_packet(self, now: float) -> bytes | None:
        """The first of the outbox, which is filled when it is empty."""
        if now - self._indexed_at >= self.config.index_period and self.sent:
            self._indexed_at = now
            self._outbox.appendleft(self._pack_index())
        while not self._outbox:
            choice = self._schedule.choose(self._position, now)
            if choice is None:
                return None
            self._outbox.extend(self._packets_of(choice, now))
        return self._outbox[0]

    def _packets_of(self, choice: Choice, now: float) -> Sequence[bytes]:
        key, state = TileKey(*choice.key), self._schedule.states[choice.key]
        made = self._made.setdefault(key, {}).get(choice.level)
        if (
            made is None
            or state.num_changes - made.code.num_changes > self.config.schedule.min_change * state.num_points
        ):
            made = self._make(key, choice.level)
        elif made.code.sequence != state.sequence:  # else it goes out again as it is
            made = self._number(key, made)
        if made is None:
            self._schedule.note_failed(key, now)
            return []
        self._made[key][made.code.level] = made
        self._news[key] = NEWS_REPEATS
        if key not in self.sent:
            self._in_turn.append(key)
        num_bytes = made.code.num_bytes
        self.sent[key] = SentTile(key, made.coded.coder.name, num_bytes, made.code.level)
        self._measure(made, key, now)
        self._schedule.note_sent(key, made.code, now)
        codes, total = self.sent_of_level.get(made.code.level, (0, 0))
        self.sent_of_level[made.code.level] = (codes + 1, total + num_bytes)
        return made.packets

    def _make(self, key: TileKey, level: int) -> _Made | None:
        """A code of a level, or of the first finer one in which the tile can be said; None if it cannot be."""
        content, levels = self.tile(key), self.config.levels
        self.num_encoded += 1
        for i in range(level, len(levels)):
            try:
                coded = self._codec.encode(content, levels[i])
            except CodecError:  # higher than any coder can say
                return None
            if coded is not None:
                is_limited = len(coded.payload) < LIMITED * levels[i]
                if i > 0 and is_limited and not coded.is_finest:
                    continue  # no better than the level before: on to where the next coder is taken
                is_finest = coded.is_finest and is_limited
                code = Code(i, 0, 0, self._schedule.states[key].num_changes, is_finest)
                return self._number(key, _Made(coded, code, []))
        return None

    def _measure(self, made: _Made, key: TileKey, now: float) -> None:
        """Decode now and then what is sent, to know what it is worth; always would take longer than encoding."""
        if now - self._measured_at >= MEASURE_PERIOD:
            self._measured_at = now
            self.distortions[made.code.level].append(measure(self.tile(key), made.coded))

    def _number(self, key: TileKey, made: _Made) -> _Made:
        """Give a code the next sequence."""
        self._sequence += 1
        coder, payload = made.coded.coder, made.coded.payload
        packet = Packet(coder.id, coder.decoder_hash, key, self._sequence, payload)
        packets = [pack_packet(part) for part in split_packet(packet, self.config.max_message - 2)]
        code = made.code._replace(sequence=self._sequence, num_bytes=sum(map(len, packets)))
        return made._replace(code=code, packets=packets)

    def _pack_index(self) -> bytes:
        """What was sent lately, newest first, then others in turn."""
        keys = list(reversed(self._news))[:INDEX_TILES]
        self._news = {key: left - 1 for key, left in self._news.items() if left > 1}
        for _ in range(min(INDEX_TILES - len(keys), len(self._in_turn))):
            keys.append(self._in_turn[0])
            self._in_turn.rotate(-1)
        return self._index_of(keys)

    def _index_of(self, keys: Iterable[TileKey]) -> bytes:
        sequences = [(key, self._schedule.states[key].sequence) for key in sorted(set(keys))]
        payload = pack_index(Index(self._frame, self._sequence, sequences))
        return pack_packet(Packet(INDEX_CODER, 0, TileKey(0, 0), self._sequence, payload))


def _size_in_batch(packet: bytes) -> int:
    return len(packet) + len(pack_varint(len(packet)))
