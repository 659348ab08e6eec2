# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A KITTI-layout folder written by the tests."""

from pathlib import Path

import numpy as np

# Camera axes (right, down, forward) in lidar axes (forward, left, up), and a lever arm.
T_CAMERA_LIDAR = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3], [0, 0, 0, 1.0]])


def write_sequence(folder: Path, num_scans: int = 3, num_points: int = 5) -> None:
    """Write scans of a lidar that moves 1 m forward each."""
    rng = np.random.default_rng(0)
    (folder / "velodyne").mkdir(parents=True)
    (folder / "labels").mkdir()
    poses = []
    for scan in range(num_scans):
        rng.random((num_points, 4), dtype=np.float32).tofile(folder / "velodyne" / f"{scan:06d}.bin")
        np.full(num_points, 40 | 7 << 16, np.uint32).tofile(folder / "labels" / f"{scan:06d}.label")
        T_map_lidar = np.eye(4)
        T_map_lidar[0, 3] = scan
        poses.append((T_CAMERA_LIDAR @ T_map_lidar @ np.linalg.inv(T_CAMERA_LIDAR))[:3].ravel())
    np.savetxt(folder / "poses.txt", poses)
    np.savetxt(folder / "times.txt", 0.1 * np.arange(num_scans))
    numbers = " ".join(str(number) for number in T_CAMERA_LIDAR[:3].ravel())
    (folder / "calib.txt").write_text(f"P0: {'0 ' * 12}\nTr: {numbers}\n")
