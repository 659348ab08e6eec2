# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses of a recording's lidar from its clouds alone, without ROS.

python examples/odometry_of_recording.py drive.mcap poses.tum
"""

import sys
from pathlib import Path

import numpy as np

from kpconv_ros.data.point_times import read_times
from kpconv_ros.data.recorded_scans import ScanReader, ScanSelection
from kpconv_ros.data.recordings import open_recording
from kpconv_ros.evaluation.trajectory_metrics import write_tum
from kpconv_ros.pipelines.odometry import Odometry
from kpconv_ros.pipelines.odometry_result import OdometryConfig


def main(recording: str, target: str) -> None:
    """Follow the lidar of a rosbag2, a ROS 1 bag or a KITTI-layout folder, and write believed poses as a TUM file."""
    odometry = Odometry(OdometryConfig(num_points=1024))
    stamps_ns, poses = [], []
    for scan in ScanReader(open_recording(recording), ScanSelection()):
        stamp = 1e-9 * scan.stamp_ns
        result = odometry.process(scan.cloud.xyz, stamp, read_times(scan.cloud, stamp))
        if result.is_believed:
            stamps_ns.append(scan.stamp_ns)
            poses.append(result.T_odom_sensor)
        x, y, z = result.T_odom_sensor[:3, 3]
        print(f"{stamp:.2f} s: {result.status.value}, x {x:.2f} m, y {y:.2f} m, z {z:.2f} m")
    write_tum(Path(target), np.array(stamps_ns), np.array(poses))
    print(f"{len(poses)} poses written to {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
