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
from kpconv_ros.pipelines.tile_codec import mean_distance

Array = NDArray[Any]
VOXEL_SIZE = 0.2  # m
LEAST_POINTS = 200  # of a tile that counts
NEAR = 0.5  # m; a point of the map is shown if a decoded one lies so near
FINE = 0.95  # share of a fine tile's points that are shown
COMPLETE = 0.4  # m; a tile whose Chamfer distance to the truth is no greater is complete: two voxels


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
    position: Array
    """Of the sensor then, ``(3,)``, metres, map frame."""
    content: TileContent
    whole: TileContent
    """All that was seen of it until the end of the drive: what may be shown."""


class TileResult(NamedTuple):
    """How a tile fared."""

    key: TileKey
    num_points: int
    due: float
    """When the robot passed it, or later the incident ended; seconds after the start of the drive."""
    is_held_up: bool
    """Whether the incident ended later."""
    delay: float
    """Seconds from when it was due until it was complete, 0 if it was before; inf if never."""
    shown: float
    """Share of its points shown when it had been due for the allowed time."""
    chamfer: float
    """Metres, then; inf if nothing was shown."""
    chamfer_at_end: float
    """Metres, of the last version."""
    shown_at_end: float
    agreement_at_end: float
    agreement: float
    """Share of its shown points whose nearest decoded point has the same label, then."""


def passed_tiles(scans: Iterable[PlacedScan], at_end: bool) -> list[PassedTile]:
    """The tiles of a drive, each with what was seen of it.

    Args:
        scans: In the order of the drive.
        at_end: Of all tiles until the end; else of those that a drive along x passes, until it is past the far edge.
    """
    tile_map, found = TileMap(TILE_SIZE, VOXEL_SIZE), dict[tuple[int, int], PassedTile]()
    first: float | None = None
    position = np.zeros(3)
    for scan in scans:
        position, first = scan.position, scan.position[0] if first is None else first
        tile_map.insert(scan.points, scan.labels)
        for key in tile_map.tiles.keys() - found.keys():
            if not at_end and first < (key[0] + 1) * TILE_SIZE < position[0]:
                found[key] = _passed(tile_map, key, position)
    if at_end:
        found = {key: _passed(tile_map, key, position) for key in tile_map.tiles}
    return [
        tile._replace(whole=TileContent(*tile_map.tiles[key][1:]))
        for key, tile in sorted(found.items())
        if len(tile.content.points) >= LEAST_POINTS
    ]


def _passed(tile_map: TileMap, key: tuple[int, int], position: Array) -> PassedTile:
    tile = tile_map.tiles[key]
    content = TileContent(tile.points.copy(), tile.labels.copy())
    return PassedTile(TileKey(*key), position, content, content)


def judge_tiles(
    tiles: list[PassedTile],
    poses: Array,
    versions: dict[str, Any],
    incident: tuple[float, float],
    started: float,
    allowed: float,
) -> list[TileResult]:
    """Compare what the recorder behind the decoder saw with the tiles.

    Args:
        tiles: The truth.
        poses: Time (seconds of the wall clock) and position of the robot, ``(P, 4)``.
        versions: The recorder's file.
        incident: From when to when something held up the link, seconds of the wall clock: tiles that were passed
            meanwhile, or less than ``allowed`` before, are due at its end.
        started: When the drive began, likewise.
        allowed: Time after it is due at which a tile is judged, seconds.
    """
    ends = np.cumsum(versions["lengths"])
    of_key: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(versions["keys"].tolist()):
        of_key.setdefault((key[0], key[1]), []).append(row)
    results = []
    for tile in tiles:
        passed = float(poses[np.square(poses[:, 1:] - tile.position).sum(axis=1).argmin(), 0])
        is_held_up = incident[0] - allowed < passed < incident[1]
        due = max(passed, incident[1]) if is_held_up else passed
        corner = np.array([tile.key.ix * TILE_SIZE, tile.key.iy * TILE_SIZE, 0.0])
        history = []
        for row in of_key.get(tile.key, []):
            rows = slice(ends[row] - versions["lengths"][row], ends[row])
            points = (versions["points"][rows] - corner).astype(np.float32)
            history.append((float(versions["times"][row]), TileContent(points, versions["labels"][rows])))
        result = judge_tile(tile, history, due, allowed)
        results.append(result._replace(due=due - started, is_held_up=is_held_up))
    return results


def judge_tile(tile: PassedTile, history: list[tuple[float, TileContent]], due: float, allowed: float) -> TileResult:
    """Judge one tile by the versions of it that were shown, in the order of their times."""
    delay, judged, chamfer, chamfer_at_end = np.inf, None, np.inf, np.inf
    for shown_at, content in history:
        chamfer_at_end = distortion_of(tile, content)
        if shown_at <= due + allowed:
            judged, chamfer = content, chamfer_at_end
        if np.isinf(delay) and chamfer_at_end <= COMPLETE:
            delay = max(shown_at - due, 0.0)
    shown, agreement = _share_shown(tile.content, judged) if judged else (0.0, 0.0)
    at_end = _share_shown(tile.content, history[-1][1]) if history else (0.0, 0.0)
    count = len(tile.content.points)
    return TileResult(tile.key, count, due, False, delay, shown, chamfer, chamfer_at_end, *at_end, agreement)


def distortion_of(tile: PassedTile, shown: TileContent) -> float:
    """Chamfer distance, metres: what had been seen to what is shown, and that to all there is."""
    return (mean_distance(tile.content.points, shown.points) + mean_distance(shown.points, tile.whole.points)) / 2


def _share_shown(truth: TileContent, shown: TileContent) -> tuple[float, float]:
    distances, nearest = cKDTree(shown.points).query(truth.points)
    is_shown = distances < NEAR
    agrees = shown.labels[nearest] == truth.labels
    return float(is_shown.mean()), float(agrees[is_shown].mean()) if is_shown.any() else 0.0
