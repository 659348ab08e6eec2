# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Insertion of a posed scan into the rolling voxel map, and look-up of its points, beside Open3D and NumPy.

Each round inserts the next scan of the drive into a map that holds those before. The peers keep what insertion needs,
barycentre, mean intensity, count and last-seen time, and give the voxel of each point; ours also caps the counts, keeps
the potential and lists the voxels it touched.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import open3d.core as o3c
from numpy.typing import NDArray

from benchmarks._inputs import load_drive
from benchmarks._measure import Row, Side, compare, write_rows
from kpconv_ros.mapping.voxel_map import VoxelMap, VoxelMapConfig

VOXEL_SIZE = 0.1  # m
CAPACITY = 600_000
Array = NDArray[Any]


class Means:
    """Sums of positions and intensities, counts and stamps of numbered voxels."""

    def __init__(self) -> None:
        """Make room."""
        self.sums, self.counts, self.last_seen = np.zeros((4, CAPACITY)), np.zeros(CAPACITY), np.zeros(CAPACITY)
        self.means = np.zeros((CAPACITY, 4))

    def add(self, voxel_of_point: Array, points: Array, intensity: Array, stamp: float) -> None:
        """Add a scan and bring the means of its voxels up to date."""
        touched, index, counts = np.unique(voxel_of_point, return_inverse=True, return_counts=True)
        for column, values in enumerate((points[:, 0], points[:, 1], points[:, 2], intensity)):
            self.sums[column, touched] += np.bincount(index, weights=values)
        self.counts[touched] += counts
        self.last_seen[touched] = stamp
        self.means[touched] = (self.sums[:, touched] / self.counts[touched]).T


class Open3DMap:
    """Open3D's hash map from cells to rows."""

    def __init__(self) -> None:
        """Make an empty map."""
        device = o3c.Device("CPU:0")
        self.table = o3c.HashMap(CAPACITY, o3c.int32, (3,), o3c.int32, (1,), device)
        self.means = Means()

    def insert(self, points: Array, intensity: Array, stamp: float) -> Array:
        """Insert a scan; return the voxel of each point."""
        self.table.activate(_cells(points))
        voxel_of_point = self.find(points)
        self.means.add(voxel_of_point, points, intensity, stamp)
        return voxel_of_point

    def find(self, points: Array) -> Array:
        """Return the voxel of each point, -1 for none."""
        rows, found = self.table.find(_cells(points))
        return np.where(found.numpy(), rows.numpy(), -1)


def _cells(points: Array) -> o3c.Tensor:
    return o3c.Tensor.from_numpy(np.floor(points * (1 / VOXEL_SIZE)).astype(np.int32))


class SortedMap:
    """Sorted cell keys in NumPy, merged with those of each scan."""

    def __init__(self) -> None:
        """Make an empty map."""
        self.keys, self.rows, self.means = np.empty(0, np.int64), np.empty(0, np.int64), Means()

    def insert(self, points: Array, intensity: Array, stamp: float) -> Array:
        """Insert a scan; return the voxel of each point."""
        new = np.setdiff1d(_keys(points), self.keys)
        keys = np.concatenate([self.keys, new])
        rows = np.concatenate([self.rows, len(self.keys) + np.arange(len(new))])
        order = np.argsort(keys, kind="stable")
        self.keys, self.rows = keys[order], rows[order]
        voxel_of_point = self.find(points)
        self.means.add(voxel_of_point, points, intensity, stamp)
        return voxel_of_point

    def find(self, points: Array) -> Array:
        """Return the voxel of each point, -1 for none."""
        keys = _keys(points)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.rows[places], -1)


def _keys(points: Array) -> Array:
    cells = np.floor(points * (1 / VOXEL_SIZE)).astype(np.int64) + (1 << 20)
    return (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]


def main() -> None:
    """Measure."""
    drive = [(scan.in_map(), scan.intensity, scan.stamp) for scan in load_drive()]
    rows = []
    for suffix, peer_name, make in (("", "Open3D HashMap", Open3DMap), ("_numpy", "NumPy sorted keys", SortedMap)):
        rows += _compare(suffix, peer_name, make(), drive)
    write_rows("voxel_map", rows)


def _compare(suffix: str, peer_name: str, peer: Open3DMap | SortedMap, drive: list[tuple[Any, ...]]) -> list[Row]:
    ours = VoxelMap(VoxelMapConfig(voxel_size=VOXEL_SIZE), num_classes=9)
    for scan in drive[:2]:
        ours.insert(*scan)
        peer.insert(*scan)

    def scans() -> Iterator[tuple[Any, ...]]:
        yield from drive[2:]
        yield from drive  # the calls that measure memory

    next_ours, next_peer = scans(), scans()
    note = f"scans of {len(drive[0][0])} points, voxels of {VOXEL_SIZE} m"
    insert = compare(
        f"voxel_map_insert{suffix}",
        Side(lambda scan: ours.insert(*scan), lambda: next(next_ours)),
        peer_name,
        Side(lambda scan: peer.insert(*scan), lambda: next(next_peer)),
        7,
        note=f"{note}, map of {len(ours)} voxels before",
    )
    points = drive[-1][0]
    lookup = compare(
        f"voxel_map_lookup{suffix}",
        Side(lambda _: ours.find(points)),
        peer_name,
        Side(lambda _: peer.find(points)),
        15,
        note=f"{note}, map of {len(ours)} voxels",
    )
    return [insert, lookup]


if __name__ == "__main__":
    main()
