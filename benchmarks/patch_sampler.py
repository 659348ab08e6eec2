# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learned sampler on a whole scan, from raw points to 400 rows, beside farthest-point sampling by Open3D.

Ours fits planes, makes voxels of 0.25 m and runs the network. The peers pick 400 points by distance alone, once of the
voxels of the same size, which they make themselves, and once of all points.
"""

import numpy as np
import open3d
from numpy.typing import NDArray

from benchmarks._inputs import load_drive
from benchmarks._measure import Row, Side, compare, write_rows
from kpconv_ros.pipelines.patch_sampler import PatchSampler

NUM_POINTS = 400


def pick_of_voxels(points: NDArray[np.float32]) -> open3d.geometry.PointCloud:
    """Pick of the barycentres of voxels."""
    return _cloud(points).voxel_down_sample(0.25).farthest_point_down_sample(NUM_POINTS)


def pick_of_all(points: NDArray[np.float32]) -> open3d.geometry.PointCloud:
    """Pick of all points."""
    return _cloud(points).farthest_point_down_sample(NUM_POINTS)


def _cloud(points: NDArray[np.float32]) -> open3d.geometry.PointCloud:
    return open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))


def main() -> list[Row]:
    """Measure both."""
    sampler, points = PatchSampler.from_pretrained(), load_drive()[0].points
    note = f"{len(points)} points, {len(sampler.sample(points, NUM_POINTS))} chosen"
    ours = Side(lambda _: sampler.sample(points, NUM_POINTS))
    return [
        compare("patch_sampler", ours, "Open3D voxels + FPS", Side(lambda _: pick_of_voxels(points)), note=note),
        compare("patch_sampler_all", ours, "Open3D FPS of all", Side(lambda _: pick_of_all(points)), note=note),
    ]


if __name__ == "__main__":
    write_rows("patch_sampler", main())
