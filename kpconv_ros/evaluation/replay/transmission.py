# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a map is worth that came over a thin link: its bytes over time, each tile beside what the robot had of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Manifest
from kpconv_ros.codec.index import INDEX_CODER
from kpconv_ros.codec.packet import split_batch, unpack_packet
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.config_io import config_from_mapping
from kpconv_ros.data.street_maps import StreetMap, cut_tiles
from kpconv_ros.evaluation.link_truth import NEAR
from kpconv_ros.evaluation.replay.options import values_of
from kpconv_ros.evaluation.replay.tile_scores import (
    NOT_SHOWN,
    evenly,
    measure_rates,
    most_in_a_window,
    score_tile,
    summary_of,
)
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.mapping.tile_map import TileMap
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig
from kpconv_ros.pipelines.tile_codec import TileCodec, TileEncodingConfig, make_codec

Array = NDArray[Any]
Tiles = dict[TileKey, TileContent]
PERIOD = 1.0
"""Of the bandwidth over time, seconds."""
CELL = 1.0
"""Edge of the cells of ground whose number is the area of a map, metres."""
NUM_EMKD_TILES = 12
"""Of so many tiles the EM-kD is measured, which takes longer than the rest."""
NUM_RATE_TILES = 6
"""With so many the rates are measured."""


class LinkConfigs(NamedTuple):
    """How a map is sent."""

    encoder: MapEncoderConfig
    codec: TileEncodingConfig


class SentCode(NamedTuple):
    """The last code of a tile that was sent."""

    sequence: int
    coder: int
    num_bytes: int
    """With the packets' own."""


@dataclasses.dataclass
class _Ends:
    """The map at both ends, when the run was over."""

    seconds: float
    received: Tiles


def link_configs(parameters: Mapping[str, str]) -> LinkConfigs:
    """The Configs of parameters of the node encode, as text.

    Raises:
        ConfigError: If one is unknown or wrong.
    """
    of_codec = {field.name for field in dataclasses.fields(TileEncodingConfig)}
    encoder: dict[str, Any] = {}
    codec: dict[str, Any] = {}
    for name, value in values_of(parameters).items():
        group, _, rest = name.rpartition(".")
        if name in of_codec:
            codec[name] = value
        elif group:
            encoder.setdefault(group, {})[rest] = value
        else:
            encoder[name] = value
    return LinkConfigs(
        config_from_mapping(MapEncoderConfig, encoder, "transmit"),
        config_from_mapping(TileEncodingConfig, codec, "transmit"),
    )


class TransmissionTally:
    """Takes what was given to the sender, what went over the link, and at the end what the receiver has."""

    def __init__(
        self, configs: LinkConfigs, source: str, manifest: Manifest | None, codec: TileCodec | None = None
    ) -> None:
        """Count.

        Args:
            configs: Of the sender.
            source: ``map``: the voted map is sent; ``scans``: the scans as they are.
            manifest: Of the model whose labels the points have; None: they have none.
            codec: Coders of tiles; made of the Config if not given.

        Raises:
            CheckpointError: If its model cannot be loaded.
        """
        self.configs, self.source, self.manifest = configs, source, manifest
        self.codec = codec or make_codec(configs.codec)
        self._seen = TileMap(TILE_SIZE, configs.encoder.voxel_size)
        self._times: list[float] = []
        self._sizes: list[int] = []
        self._codes: dict[TileKey, SentCode] = {}
        self._ends: _Ends | None = None
        self._report: dict[str, Any] | None = None

    def see(self, points: Array, labels: Array) -> None:
        """Points of the map ``(N, 3)``, metres, and their labels, as the sender was given them."""
        self._seen.insert(points, labels)

    def take_scan(self, points: Array, T_map_sensor: Array) -> tuple[Array, Array]:  # noqa: N803
        """A scan ``(N, 3)``, metres, sensor frame, without labels, and its pose: the sender keeps what is near.

        Returns:
            Its points in the map frame, and labels that are all unknown.
        """
        placed = transform_points(T_map_sensor, points[np.isfinite(points).all(axis=1)])
        labels = np.zeros(len(placed), np.uint8)
        away = placed[:, :2] - T_map_sensor[:2, 3]
        near = np.square(away).sum(axis=1) <= self.configs.encoder.max_range**2
        self.see(placed[near], labels[near])
        return placed, labels

    def take_message(self, at: float, data: bytes) -> None:
        """A message of the link, at so many seconds after the beginning.

        Raises:
            CodecError: If it is none.
        """
        self._times.append(at)
        self._sizes.append(len(data) + self.configs.encoder.message_overhead)
        for raw in split_batch(data):
            packet = unpack_packet(raw)
            if packet.coder == INDEX_CODER:
                continue
            code = self._codes.get(packet.key)
            if code is None or packet.sequence > code.sequence:
                code = SentCode(packet.sequence, packet.coder, 0)
            elif packet.sequence == code.sequence and packet.part == 0:
                code = code._replace(num_bytes=0)  # sent again, as it was
            self._codes[packet.key] = code._replace(num_bytes=code.num_bytes + len(raw))

    def end(self, seconds: float, points: Array, labels: Array) -> None:
        """The receiver's map after so many seconds: points ``(N, 3)``, metres, map frame, and labels ``(N,)``."""
        received = cut_tiles(StreetMap(points, labels.astype(np.uint8))) if len(points) else {}
        self._ends, self._report = _Ends(seconds, received), None

    @property
    def has_both_ends(self) -> bool:
        """Whether the map has points at both ends."""
        return bool(self._seen.tiles) and self._ends is not None and bool(self._ends.received)

    def sent_map(self) -> tuple[Array, Array]:
        """What the sender was given: points ``(N, 3)``, metres, and labels ``(N,)``."""
        return join_tiles(self._seen_tiles(least=1))

    def received_map(self) -> tuple[Array, Array]:
        """What the receiver has of it, likewise."""
        return join_tiles({} if self._ends is None else self._ends.received)

    def report(self) -> dict[str, Any]:
        """Sum up, ready for JSON; a number that does not exist is None."""
        if self._report is None:
            self._report = self._sum_up(self._ends or _Ends(0.0, {}))
        return self._report

    def _sum_up(self, ends: _Ends) -> dict[str, Any]:
        tiles = self._seen_tiles(self.configs.encoder.schedule.min_points)
        rows = self._score(tiles, ends.received)
        points, _ = self.sent_map()
        area = len(np.unique(np.floor(points[:, :2] / CELL), axis=0)) * CELL**2
        num_bytes = sum(self._sizes)
        code_bytes = sum(row["bytes"] for row in rows)
        return {
            "source": self.source,
            "seconds": round(ends.seconds, 3),
            "messages": len(self._sizes),
            "bytes": num_bytes,
            "map_points": len(points),
            "map_m2": area,
            "bytes_per_point": num_bytes / len(points) if len(points) else None,
            "bytes_per_m2": num_bytes / area if area else None,
            "code_bytes_per_point": code_bytes / len(points) if len(points) else None,
            "bandwidth": self._bandwidth(ends.seconds),
            "shown": _mean([row["shown"] for row in rows], [row["points"] for row in rows]),
            "label_agreement": None if self.manifest is None else _agreement(rows),
            "distortion": {
                name: summary_of([row[name] for row in rows]) for name in ("chamfer_m", "emkd_m", "d1_psnr_db")
            },
            "tiles": rows,
            "rate_distortion": measure_rates(self.codec, [tiles[key] for key in evenly(list(tiles), NUM_RATE_TILES)]),
        }

    def _score(self, tiles: Tiles, received: Tiles) -> list[dict[str, Any]]:
        """A row for each tile of the sender; those that were not decoded are not shown."""
        with_emkd = set(evenly([key for key in tiles if key in received], NUM_EMKD_TILES))
        rows = []
        for key, content in tiles.items():
            code = self._codes.get(key)
            row = {
                "tile": [key.ix, key.iy],
                "points": len(content.points),
                "bytes": 0 if code is None else code.num_bytes,
                "coder": None if code is None else self.codec.coder(code.coder).name,
            }
            decoded = received.get(key)
            scores = NOT_SHOWN if decoded is None else score_tile(content, decoded, NEAR, key in with_emkd)
            rows.append({**row, **scores})
        return rows

    def _bandwidth(self, seconds: float) -> dict[str, Any]:
        length = max([seconds, *self._times])
        edges = np.arange(0.0, length + PERIOD, PERIOD)
        sent, _ = np.histogram(self._times, edges, weights=np.array(self._sizes, np.float64))
        return {
            "cap_bytes_per_s": self.configs.encoder.rate / 8,
            "period_s": PERIOD,
            "bytes": sent.astype(int).tolist(),
            "most_bytes_in_1_s": most_in_a_window(self._times, self._sizes, 1.0),
        }

    def _seen_tiles(self, least: int) -> Tiles:
        found = sorted(self._seen.tiles.items())
        return {
            TileKey(*key): TileContent(tile.points, tile.labels) for key, tile in found if len(tile.points) >= least
        }


def _agreement(rows: Sequence[Mapping[str, Any]]) -> float | None:
    judged = [row for row in rows if row["agreement"] is not None]
    return _mean([row["agreement"] for row in judged], [row["points"] * row["shown"] for row in judged])


def _mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    return float(np.average(values, weights=weights)) if sum(weights) else None


def join_tiles(tiles: Tiles) -> tuple[Array, Array]:
    """The points of tiles in the map frame, ``(N, 3)`` float64, metres, and their labels ``(N,)``."""
    if not tiles:
        return np.zeros((0, 3)), np.zeros(0, np.uint8)
    parts = [content.points + np.array([*key, 0]) * TILE_SIZE for key, content in tiles.items()]
    return np.concatenate(parts), np.concatenate([content.labels for content in tiles.values()])
