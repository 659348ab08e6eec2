# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps of streets, as a robot has them after a short drive: simulated ones, and real ones of SemanticKITTI."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.config_io import param
from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.kernels.scan import keep_in_range

LIDARS = (
    SimulatorConfig(rings=64, azimuth_steps=2048, elevation_low=-0.433, elevation_high=0.035),
    SimulatorConfig(rings=32, azimuth_steps=1800, elevation_low=-0.436, elevation_high=0.262),
    SimulatorConfig(rings=64, azimuth_steps=1024, elevation_low=-0.39, elevation_high=0.39),
)
"""Simulated drives take them in turn; the first has the rings of an HDL-64."""


@dataclass(frozen=True)
class StreetMapConfig:
    """How scans become a map."""

    voxel_size: float = param(0.1, "edge of a voxel of the map, metres", 0.01)
    min_range: float = param(2.5, "nearest points kept, metres: what is nearer is the robot itself", 0.0)
    max_range: float = param(60.0, "farthest points kept, metres", 1.0)
    scans: int = param(16, "scans of a simulated drive", 1)
    spacing: float = param(2.0, "distance between them, metres", 0.01)


class StreetMap(NamedTuple):
    """One barycentre a voxel."""

    points: NDArray[np.float32]
    """``(N, 3)``, metres, z up."""
    labels: NDArray[np.uint8]
    """``(N,)``, most frequent label of the voxel, 0 is unknown."""


class PosedPoints(NamedTuple):
    """A scan and where it was taken."""

    points: NDArray[np.float32]
    """``(N, 3)``, metres, sensor frame."""
    labels: NDArray[np.uint8]
    """``(N,)``."""
    T_map_sensor: NDArray[np.float64]
    """``(4, 4)``."""


def merge_scans(scans: Iterable[PosedPoints], config: StreetMapConfig) -> StreetMap:
    """Lay scans into one map, a barycentre a voxel; things that moved leave a trace."""
    points, labels = [], []
    for scan in scans:
        kept, rows = keep_in_range(scan.points, config.min_range, config.max_range)
        points.append(transform_points(scan.T_map_sensor, kept).astype(np.float32))
        labels.append(scan.labels[rows])
    cloud = torch.from_numpy(np.concatenate(points))
    votes = torch.from_numpy(np.concatenate(labels)).long()
    voxels = grid_subsample(cloud, torch.tensor([len(cloud)]), config.voxel_size, labels=votes)
    assert voxels.labels is not None
    return StreetMap(voxels.points.numpy(), voxels.labels.numpy().astype(np.uint8))


def simulate_map(seed: int, config: StreetMapConfig) -> StreetMap:
    """Drive along the simulated street of ``seed``, from a random place on."""
    generator = default_rng([seed, 20])
    lidar = dataclasses.replace(
        LIDARS[seed % len(LIDARS)],
        sensor_height=float(generator.uniform(1.5, 2.1)),
        parked_cars=float(generator.uniform(0.2, 0.7)),
        plants=float(generator.uniform(0.5, 2.0)),
    )
    simulator, start = Simulator(lidar, seed), float(generator.uniform(0.0, 40.0))
    stamps = start + np.arange(config.scans) * config.spacing / lidar.ego_speed
    scans = (simulator.scan(float(stamp)) for stamp in stamps)
    return merge_scans((PosedPoints(scan.points, scan.labels, scan.T_map_sensor) for scan in scans), config)


def kitti_map(root: Path, sequence: str, config: StreetMapConfig) -> StreetMap:
    """Merge all scans of a SemanticKITTI sequence; labels are 0 where it has none.

    Raises:
        KittiError: If there are no poses, or a file is damaged.
    """
    drive = KittiSequence(root, sequence)
    poses = drive.poses
    if poses is None:
        raise KittiError(f"{root}, sequence {sequence}: expected poses.txt to merge its scans, got none")

    def read(index: int) -> PosedPoints:
        scan = drive.scan(index)
        labels = np.zeros(len(scan.points), np.uint8) if scan.labels is None else scan.labels
        return PosedPoints(scan.points, labels, poses[index])

    return merge_scans((read(index) for index in range(len(drive))), config)


def turn_map(street: StreetMap, angle: float, shift: tuple[float, float] = (0.0, 0.0)) -> StreetMap:
    """Turn a map about the z axis by ``angle`` radians and then shift it in the plane, metres."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])  # transposed, for rows
    return street._replace(points=(street.points @ turn + np.array([*shift, 0.0])).astype(np.float32))


def cut_tiles(street: StreetMap, least_points: int = 1) -> dict[TileKey, TileContent]:
    """Cut a map into the tiles of the grid that have at least so many points, in the order of their keys."""
    cells = np.floor(street.points[:, :2] / TILE_SIZE).astype(np.int64)
    low, high = cells.min(axis=0), cells.max(axis=0)
    number_of_point = (cells[:, 0] - low[0]) * (high[1] - low[1] + 1) + cells[:, 1] - low[1]
    counts = np.bincount(number_of_point)
    order = np.argsort(number_of_point.astype(np.min_scalar_type(len(counts))), kind="stable")  # fast for 16 bits
    ends, tiles = np.cumsum(counts), {}
    for number in np.flatnonzero(counts >= max(least_points, 1)):
        rows = order[ends[number] - counts[number] : ends[number]]
        key = low + np.array(divmod(number, high[1] - low[1] + 1))
        local = street.points[rows].astype(np.float64)
        local[:, :2] = (local[:, :2] - key * TILE_SIZE).clip(0.0, TILE_SIZE)
        tiles[TileKey(int(key[0]), int(key[1]))] = TileContent(local.astype(np.float32), street.labels[rows])
    return tiles


def draw_points(tile: TileContent, num_points: int, generator: Generator) -> TileContent:
    """Resample a tile to a number of points: some of them, or all and some of them again."""
    total = len(tile.points)
    whole = np.tile(np.arange(total), num_points // total)
    rows = np.concatenate([whole, generator.permutation(total)[: num_points - len(whole)]])
    return TileContent(tile.points[rows], tile.labels[rows])
