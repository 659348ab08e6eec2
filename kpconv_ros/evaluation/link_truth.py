# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a receiver should know of each tile, from when on, and how soon it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.mapping.tile_map import TileMap
from kpconv_ros.pipelines.tile_codec import chamfer_distance

Array = NDArray[Any]
VOXEL_SIZE = 0.2  # m
LEAST_POINTS = 200  # of a tile that counts
NEAR = 0.5  # m; a point of the map is shown if a decoded one lies so near
COMPLETE = 0.95  # share of a tile's points that are shown


class PlacedScan(NamedTuple):
    """A scan laid into the map."""

    points: Array
    """``(N, 3)``, metres, map frame, within the range that is kept."""
    labels: Array
    position: Array
    """Of the sensor, ``(3,)``."""


class PassedTile(NamedTuple):
    """A tile when the robot had passed it."""

    key: TileKey
    scan: int
    """Number of the scan by which it was passed."""
    content: TileContent


class TileResult(NamedTuple):
    """How a tile fared."""

    key: TileKey
    num_points: int
    passed: float
    """When the robot passed it, seconds after the start of the drive."""
    delay: float
    """Seconds from then until it was complete, 0 if it was before; inf if never."""
    shown: float
    """Share of its points shown after the allowed time."""
    chamfer: float
    """Metres, then; inf if nothing was shown."""
    agreement: float
    """Share of its shown points whose nearest decoded point has the same label, then."""


def passed_tiles(scans: Iterable[PlacedScan], with_last: bool) -> list[PassedTile]:
    """The tiles of a drive along x, each with what was seen of it until the robot was past its far edge.

    Args:
        scans: In the order of the drive.
        with_last: Also those that the robot has not passed, as they are at the end.
    """
    tile_map, found = TileMap(TILE_SIZE, VOXEL_SIZE), dict[tuple[int, int], PassedTile]()
    number = -1
    for number, scan in enumerate(scans):
        tile_map.insert(scan.points, scan.labels)
        for key in tile_map.tiles.keys() - found.keys():
            if scan.position[0] > (key[0] + 1) * TILE_SIZE:
                found[key] = _passed(tile_map, key, number)
    if with_last:
        for key in tile_map.tiles.keys() - found.keys():
            found[key] = _passed(tile_map, key, number)
    return [tile for _, tile in sorted(found.items()) if len(tile.content.points) >= LEAST_POINTS]


def _passed(tile_map: TileMap, key: tuple[int, int], number: int) -> PassedTile:
    tile = tile_map.tiles[key]
    return PassedTile(TileKey(*key), number, TileContent(tile.points.copy(), tile.labels.copy()))


def judge_tiles(
    tiles: list[PassedTile], passed_at: Array, started: float, versions: dict[str, Any], allowed: float
) -> list[TileResult]:
    """Compare what the recorder behind the decoder saw with the tiles.

    Args:
        tiles: The truth.
        passed_at: When each scan was published, ``(S,)``, seconds of the wall clock.
        started: When the drive began, likewise.
        versions: The recorder's file.
        allowed: Time after passing at which a tile is judged, seconds.
    """
    ends = np.cumsum(versions["lengths"])
    of_key: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(versions["keys"].tolist()):
        of_key.setdefault((key[0], key[1]), []).append(row)
    results = []
    for tile in tiles:
        at = float(passed_at[min(tile.scan, len(passed_at) - 1)])
        corner = np.array([tile.key.ix * TILE_SIZE, tile.key.iy * TILE_SIZE, 0.0])
        history = []
        for row in of_key.get(tile.key, []):
            rows = slice(ends[row] - versions["lengths"][row], ends[row])
            points = (versions["points"][rows] - corner).astype(np.float32)
            history.append((float(versions["times"][row]), TileContent(points, versions["labels"][rows])))
        results.append(judge_tile(tile, history, at, started, allowed))
    return results


def judge_tile(
    tile: PassedTile, history: list[tuple[float, TileContent]], at: float, started: float, allowed: float
) -> TileResult:
    """Judge one tile by the versions of it that were shown, in the order of their times."""
    delay, judged = np.inf, None
    for shown_at, content in history:
        if shown_at <= at + allowed:
            judged = content
        if np.isinf(delay) and _share_shown(tile.content, content)[0] >= COMPLETE:
            delay = max(shown_at - at, 0.0)
    if judged is None:
        return TileResult(tile.key, len(tile.content.points), at - started, delay, 0.0, np.inf, 0.0)
    shown, agreement = _share_shown(tile.content, judged)
    chamfer = chamfer_distance(tile.content, judged)
    return TileResult(tile.key, len(tile.content.points), at - started, delay, shown, chamfer, agreement)


def _share_shown(truth: TileContent, shown: TileContent) -> tuple[float, float]:
    distances, nearest = cKDTree(shown.points).query(truth.points)
    is_shown = distances < NEAR
    agrees = shown.labels[nearest] == truth.labels
    return float(is_shown.mean()), float(agrees[is_shown].mean()) if is_shown.any() else 0.0
