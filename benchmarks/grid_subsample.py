# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grid subsampling of one scan to barycentres, beside Open3D and NumPy."""

from typing import Any

import numpy as np
import open3d
import torch
from numpy.typing import NDArray

from benchmarks._inputs import VOXEL_SIZE, load_drive
from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.geometry.voxel_grid import grid_subsample

Array = NDArray[Any]


def subsample_numpy(points: Array) -> tuple[Array, Array]:
    """Give barycentres and the voxel of each point by one sort of the cells."""
    cells = np.floor(points * (1 / VOXEL_SIZE)).astype(np.int64)
    cells -= cells.min(0)
    keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, voxel_of_point, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(voxel_of_point, weights=points[:, axis]) for axis in range(3)]
    return np.stack(sums, 1) / counts[:, None], voxel_of_point


def main() -> None:
    """Measure."""
    points = load_drive()[0].points
    tensor, lengths = torch.from_numpy(points), torch.tensor([len(points)])
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))
    device_cloud = open3d.t.geometry.PointCloud(open3d.core.Tensor.from_numpy(points))
    ours = Side(lambda _: grid_subsample(tensor, lengths, VOXEL_SIZE))
    peers = {
        "grid_subsample": ("Open3D voxel_down_sample", lambda _: cloud.voxel_down_sample(VOXEL_SIZE)),
        "grid_subsample_open3d_t": ("Open3D t voxel_down_sample", lambda _: device_cloud.voxel_down_sample(VOXEL_SIZE)),
        "grid_subsample_numpy": ("NumPy unique + bincount", lambda _: subsample_numpy(points)),
    }
    note = f"{len(points)} points to {len(grid_subsample(tensor, lengths, VOXEL_SIZE).points)} voxels of {VOXEL_SIZE} m"
    rows = [
        compare(name, ours, peer_name, Side(work), rounds=15, warm_up=2, note=note)
        for name, (peer_name, work) in peers.items()
    ]
    write_rows("grid_subsample", rows)


if __name__ == "__main__":
    main()
