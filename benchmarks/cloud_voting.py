# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the voting test of a whole cloud does beside the network, next to SciPy's k-d tree: spheres, and nearest voxels.

``cloud_spheres`` cuts spheres out of the voxels of the drive; ``cloud_projection`` finds the voxel nearest to every
original point, taken in random order, as points of many scanners come, and ``..._scan_order`` as one lidar sends them.
Each call builds its index too. The peer may use as many threads as ours.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks._inputs import VOXEL_SIZE, load_drive
from benchmarks._measure import Row, Side, compare, write_rows
from kpconv_ros.geometry.sorted_cells import SortedCells
from kpconv_ros.mapping.regular_voting import CHUNK
from kpconv_ros.mapping.sphere_voting import CELLS_PER_RADIUS
from kpconv_ros.mapping.voxel_map import VoxelMap, VoxelMapConfig

RADIUS = 50 * VOXEL_SIZE  # m, of the paper's spheres
NUM_SPHERES = 300
PEER = "SciPy cKDTree"
Array = NDArray[np.floating]
Rows = NDArray[np.int64]


def project(voxels: Array, points: Array) -> Rows:
    """Return the nearest voxel of each point."""
    index = SortedCells(voxels, VOXEL_SIZE)
    return np.concatenate([index.nearest(points[i : i + CHUNK]) for i in range(0, len(points), CHUNK)])


def project_by_tree(voxels: Array, points: Array) -> Rows:
    """Do the same with a k-d tree."""
    tree, workers = cKDTree(voxels), torch.get_num_threads()
    parts = [tree.query(points[i : i + CHUNK], workers=workers)[1] for i in range(0, len(points), CHUNK)]
    return np.concatenate(parts)


def cut(voxels: Array, centers: Array) -> list[Rows]:
    """Return the rows in each sphere, rising."""
    index = SortedCells(voxels, RADIUS / CELLS_PER_RADIUS)
    return [index.rows_in_ball(center, RADIUS)[0] for center in centers]


def cut_by_tree(voxels: Array, centers: Array) -> list[Rows]:
    """Do the same with a k-d tree."""
    tree, workers = cKDTree(voxels), torch.get_num_threads()
    return [np.array(tree.query_ball_point(center, RADIUS, workers=workers, return_sorted=True)) for center in centers]


def main() -> None:
    """Measure."""
    points = np.concatenate([scan.in_map() for scan in load_drive()])
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(points)
    held = VoxelMap(VoxelMapConfig(VOXEL_SIZE), num_classes=1)
    held.insert(shuffled, None, 0.0)
    voxels = held.points.copy()
    centers = generator.choice(voxels, NUM_SPHERES, replace=False)
    rows = [_compare_spheres(voxels, centers)]
    rows += [_compare_projection("", voxels, shuffled), _compare_projection("_scan_order", voxels, points)]
    write_rows("cloud_voting", rows)


def _compare_projection(suffix: str, voxels: Array, points: Array) -> Row:
    num_different = int((project(voxels, points) != project_by_tree(voxels, points)).sum())
    note = f"{len(points)} points, {len(voxels)} voxels; {num_different} points with another voxel"
    ours, peer = Side(lambda _: project(voxels, points)), Side(lambda _: project_by_tree(voxels, points))
    return compare(f"cloud_projection{suffix}", ours, PEER, peer, 3, note=note)


def _compare_spheres(voxels: Array, centers: Array) -> Row:
    pairs = list(zip(cut(voxels, centers), cut_by_tree(voxels, centers), strict=True))
    num_different = sum(not np.array_equal(found, truth) for found, truth in pairs)
    mean = np.mean([len(rows) for rows, _ in pairs])
    note = f"{len(centers)} spheres of {RADIUS} m, {mean:.0f} of {len(voxels)} voxels in each; {num_different} differ"
    ours, peer = Side(lambda _: cut(voxels, centers)), Side(lambda _: cut_by_tree(voxels, centers))
    return compare("cloud_spheres", ours, PEER, peer, 3, note=note)


if __name__ == "__main__":
    main()
