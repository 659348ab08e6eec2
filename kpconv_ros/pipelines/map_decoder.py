# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a thin link in, a map out, and what is missing of it: whatever was lost, doubled or came out of order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.index import INDEX_CODER, unpack_index
from kpconv_ros.codec.packet import Packet, split_batch, unpack_packet
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.config_io import param
from kpconv_ros.pipelines.tile_codec import TileCodec

Array = NDArray[Any]
COVERED = 0.5  # m; an older point so near to a newer one is replaced by it


@dataclass(frozen=True)
class MapDecoderConfig:
    """How a receiver behaves."""

    keep_after_restart: bool = param(
        True, "what came stays where a restarted sender has nothing new; false where its frame begins anew"
    )
    silence: float = param(
        2.0, "time without messages after which the sender is asked for a list of all [s]", 0.1, 3600.0
    )
    request_after: float = param(0.25, "time for which a tile may be on its way before it is asked for [s]", 0.0, 60.0)
    request_again: float = param(1.5, "time after which it is asked for again [s]", 0.1, 600.0)
    request_tiles: int = param(60, "most tiles asked for at a time", 1, 200)


class Missing(NamedTuple):
    """Tiles that the sender has sent and this receiver lacks."""

    absent: list[TileKey]
    """It has nothing of these, or only what came before a silence."""
    lost: list[TileKey]
    """It has an older code of these."""
    everything: bool
    """It was long without messages: all that was sent is to be listed. Then the others are empty."""


class Reception(NamedTuple):
    """What came of a message."""

    num_tiles: int
    """Tiles that are new or newer."""
    errors: list[str]
    """Why packets were refused."""


def lay_over(new: TileContent, old: TileContent) -> TileContent:
    """A tile with those points of an older one where it has none itself within `COVERED`."""
    kept = cKDTree(new.points).query(old.points, distance_upper_bound=COVERED)[0] > COVERED
    return TileContent(np.concatenate([new.points, old.points[kept]]), np.concatenate([new.labels, old.labels[kept]]))


@dataclass
class _Tile:
    """One tile, as far as it came."""

    sequence: int = -1
    """Of ``content``; -1: none, or of an earlier session."""
    content: TileContent | None = None
    earlier: TileContent | None = None
    """What it was when the session began, from the one before."""
    announced: int = -1
    """Newest sequence that an index told of."""
    announced_at: float = 0.0
    asked_at: float = -1e9
    refused: int = -1
    """Newest sequence whose code could not be decoded here: it would not be another time either."""
    is_stale: bool = False
    """It came before a silence: much may have been missed."""
    parts_of: int = -1
    """Sequence to which ``parts`` belong."""
    parts: dict[int, Packet] | None = None


class MapDecoder:
    """Rebuilds the map of a `kpconv_ros.pipelines.map_encoder.MapEncoder`."""

    def __init__(self, config: MapDecoderConfig | None = None, codec: TileCodec | None = None) -> None:
        """Begin without a map.

        Args:
            config: How to behave.
            codec: Coders of tiles; Draco alone if not given.
        """
        self._config, self._codec = config or MapDecoderConfig(), codec or TileCodec()
        self.reset()

    def reset(self) -> None:
        """Forget everything, sessions too."""
        self._tiles: dict[TileKey, _Tile] = {}
        self._ended: set[int] = set()
        self._received_at = -1e9
        self._asks_for_all = False
        self.session: int | None = None
        self.frame = ""
        """Name of the map frame; empty until the sender told it."""
        self.num_refused = 0

    def receive(self, session: int, data: bytes, now: float) -> Reception:
        """Take the packets of a message.

        Args:
            session: Of the sender; a new one means that it has restarted, one that has ended is ignored.
            data: Packets, joined.
            now: Time, seconds.
        """
        if session in self._ended:
            return Reception(0, [])
        packets, errors = _read_packets(data)
        if now - self._received_at > self._config.silence:
            self._asks_for_all = True
            for tile in self._tiles.values():
                tile.is_stale = True
        self._received_at = now
        if packets and session != self.session:  # damaged bytes begin no session
            self._begin(session)
        num_tiles = 0
        for packet in packets:
            try:
                num_tiles += self._take(packet, now)
            except CodecError as error:
                errors.append(str(error))
        self.num_refused += len(errors)
        return Reception(num_tiles, errors)

    def missing(self, now: float) -> Missing:
        """What to ask for now; counts as asked for."""
        if self._asks_for_all and self.session is not None:
            self._asks_for_all = False
            return Missing([], [], True)
        waiting = [
            (tile.announced, key, tile)
            for key, tile in self._tiles.items()
            if tile.announced > max(tile.sequence, tile.refused)
            and now - tile.announced_at >= self._config.request_after
            and now - tile.asked_at >= self._config.request_again
        ]
        waiting.sort(key=lambda entry: (entry[2].content is not None, -entry[0]))  # absent and new ones first
        missing = Missing([], [], False)
        for _, key, tile in waiting[: self._config.request_tiles]:
            tile.asked_at = now
            (missing.absent if tile.sequence < 0 or tile.is_stale else missing.lost).append(key)
        return missing

    def count_missing(self) -> tuple[int, int]:
        """Tiles that are absent, and those of which a newer code is known to exist."""
        behind = [tile for tile in self._tiles.values() if tile.announced > tile.sequence]
        num_absent = sum(tile.content is None for tile in behind)
        return num_absent, len(behind) - num_absent

    def num_tiles(self) -> int:
        """Tiles that are shown."""
        return sum(tile.content is not None for tile in self._tiles.values())

    def contents(self) -> dict[TileKey, TileContent]:
        """The tiles."""
        return {key: tile.content for key, tile in self._tiles.items() if tile.content is not None}

    def points(self) -> tuple[Array, Array]:
        """The whole map: ``(N, 3)`` float64, metres, map frame, and labels ``(N,)`` uint8."""
        contents = self.contents()
        if not contents:
            return np.zeros((0, 3)), np.zeros(0, np.uint8)
        corners = np.array([(key.ix * TILE_SIZE, key.iy * TILE_SIZE, 0.0) for key in contents])
        lengths = [len(content.points) for content in contents.values()]
        points = np.concatenate([content.points for content in contents.values()]).astype(np.float64)
        return points + np.repeat(corners, lengths, axis=0), np.concatenate([c.labels for c in contents.values()])

    def _begin(self, session: int) -> None:
        if self.session is not None:
            self._ended.add(self.session)
        self.session = session
        if not self._config.keep_after_restart:
            self._tiles = {}
        shown = self.contents()
        self._tiles = {key: _Tile(content=content, earlier=content) for key, content in shown.items()}

    def _take(self, packet: Packet, now: float) -> int:
        """Take one packet; 1 if a tile came of it."""
        if packet.coder == INDEX_CODER:
            self._take_index(packet, now)
            return 0
        tile = self._tiles.get(packet.key, _Tile())
        if packet.sequence <= tile.sequence:
            return 0  # doubled, or overtaken by a newer one
        self._tiles[packet.key] = tile
        payload = self._join(tile, packet)
        if payload is None:
            return 0
        tile.parts = None
        try:
            content = self._codec.decode(packet.coder, packet.decoder_hash, payload)
        except CodecError:
            tile.refused = max(tile.refused, packet.sequence)
            raise
        tile.content = content if tile.earlier is None else lay_over(content, tile.earlier)
        tile.sequence, tile.is_stale = packet.sequence, False
        return 1

    def _take_index(self, packet: Packet, now: float) -> None:
        index = unpack_index(packet.payload)
        self.frame = index.frame or self.frame
        for key, sequence in index.sequences:
            tile = self._tiles.setdefault(key, _Tile())
            if sequence > tile.announced:
                tile.announced, tile.announced_at = sequence, now

    def _join(self, tile: _Tile, packet: Packet) -> bytes | None:
        """The payload of a code, or None while parts of it are missing."""
        if packet.num_parts == 1:
            return packet.payload
        if packet.sequence > tile.parts_of or tile.parts is None:
            tile.parts_of, tile.parts = packet.sequence, {}
        if packet.sequence < tile.parts_of:
            return None
        tile.parts[packet.part] = packet
        if len(tile.parts) < packet.num_parts or {part.num_parts for part in tile.parts.values()} != {packet.num_parts}:
            return None
        return b"".join(tile.parts[part].payload for part in range(packet.num_parts))


def _read_packets(data: bytes) -> tuple[list[Packet], list[str]]:
    """The whole packets of a message, and why others are not."""
    packets: list[Packet] = []
    errors: list[str] = []
    try:
        for packet in split_batch(data):
            try:
                packets.append(unpack_packet(packet))
            except CodecError as error:
                errors.append(str(error))
    except CodecError as error:
        errors.append(str(error))
    return packets, errors
