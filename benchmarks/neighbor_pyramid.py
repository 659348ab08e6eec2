# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The five levels KP-FCNN needs of a whole scan: subsampling, neighbours, pooling and upsampling, all four of them.

The peers search among the same points, with their own subsampling timed beside it.
"""

import itertools

import numpy as np
import open3d
import torch
from open3d.core import Tensor
from open3d.core.nns import NearestNeighborSearch
from scipy.spatial import cKDTree

from benchmarks._inputs import VOXEL_SIZE, load_drive
from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.networks.pyramid import Level, build_pyramid

RADII = tuple(2.5 * VOXEL_SIZE * 2**level for level in range(5))


def subsample_open3d(levels: list[Level]) -> None:
    """Subsample each level to the next."""
    for index, level in enumerate(levels[:-1]):
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(level.points.double().numpy()))
        cloud.voxel_down_sample(VOXEL_SIZE * 2 ** (index + 1))


def search_open3d(levels: list[Level]) -> int:
    """Do all searches with Open3D's own index; return the number of neighbours."""
    subsample_open3d(levels)
    points = [Tensor.from_numpy(level.points.numpy()) for level in levels]
    pairs = 0
    for index, (cloud, radius) in enumerate(zip(points, RADII, strict=True)):
        search = NearestNeighborSearch(cloud)
        search.fixed_radius_index(radius)
        for queries in points[index : index + 2]:
            pairs += len(search.fixed_radius_search(queries, radius, False)[0])
    for fine, coarse in itertools.pairwise(points):
        search = NearestNeighborSearch(coarse)
        search.knn_index()
        search.knn_search(fine, 1)
    return pairs


def search_scipy(levels: list[Level], as_pairs: bool) -> int:
    """Do all searches with SciPy on all cores; ``as_pairs`` takes its faster, ungrouped pair list (one core)."""
    subsample_open3d(levels)
    points = [level.points.numpy() for level in levels]
    trees = [cKDTree(cloud) for cloud in points]
    pairs = 0
    for index, (tree, radius) in enumerate(zip(trees, RADII, strict=True)):
        for other in range(index, min(index + 2, len(points))):
            if as_pairs:
                pairs += len(trees[other].sparse_distance_matrix(tree, radius, output_type="ndarray"))
            else:
                pairs += sum(map(len, tree.query_ball_point(points[other], radius, workers=-1)))
    for fine, tree in zip(points, trees[1:], strict=False):
        tree.query(fine, workers=-1)
    return pairs


def count_pairs(levels: list[Level]) -> int:
    """Return the number of neighbours in a pyramid."""
    hoods = [level.neighborhood for level in levels] + [level.pooling for level in levels if level.pooling]
    return sum(len(hood.lists.columns) for hood in hoods)


def main() -> None:
    """Measure."""
    cloud = torch.from_numpy(np.ascontiguousarray(load_drive()[0].points))
    voxels = grid_subsample(cloud, torch.tensor([len(cloud)]), VOXEL_SIZE)
    levels = build_pyramid(voxels.points, voxels.lengths, VOXEL_SIZE, RADII)
    ours = Side(lambda _: build_pyramid(voxels.points, voxels.lengths, VOXEL_SIZE, RADII))
    peers = {
        "neighbor_pyramid": ("Open3D core.nns", lambda _: search_open3d(levels)),
        "neighbor_pyramid_scipy": ("SciPy query_ball_point, workers=-1", lambda _: search_scipy(levels, False)),
        "neighbor_pyramid_scipy_pairs": ("SciPy sparse_distance_matrix", lambda _: search_scipy(levels, True)),
    }
    sizes = "/".join(str(len(level.points)) for level in levels)
    rows = []
    for name, (peer_name, work) in peers.items():
        note = f"levels {sizes}; neighbours: ours {count_pairs(levels)}, peer {work(None)}"
        rows.append(compare(name, ours, peer_name, Side(work), rounds=5, warm_up=1, note=note))
    write_rows("neighbor_pyramid", rows)


if __name__ == "__main__":
    main()
