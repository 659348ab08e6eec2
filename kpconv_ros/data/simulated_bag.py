# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A drive of the simulated lidar as a bag: what the node ``simulate`` publishes, with stamps that can be foretold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagMessage, BagWriter
from kpconv_ros.data.cdr_messages import cloud_to_cdr, odometry_to_cdr
from kpconv_ros.data.kitti_to_bag import (
    EPOCH_NS,
    GROUND_TRUTH_TOPIC,
    LIDAR_FRAME,
    ODOMETRY_FRAME,
    ODOMETRY_TOPIC,
    POINTS_TOPIC,
)
from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.data.simulator import SimulatedScan, Simulator


def write_simulated_bag(path: Path, simulator: Simulator, num_scans: int) -> None:
    """Write the first scans of a drive.

    Raises:
        BagError: If the bag is there already.
    """
    with BagWriter(path) as writer:
        for index in range(num_scans):
            scan = simulator.scan(index / simulator.config.rate)
            for message in scan_messages(scan):
                writer.write(message)


def scan_messages(scan: SimulatedScan) -> Iterator[BagMessage]:
    """Its odometry, its ground truth, then the cloud with intensity, ring and time of each point; one stamp for all."""
    stamp_ns = EPOCH_NS + round(scan.stamp * 1e9)
    odometry = odometry_to_cdr(scan.T_map_sensor, stamp_ns, ODOMETRY_FRAME, LIDAR_FRAME)
    yield BagMessage(stamp_ns, ODOMETRY_TOPIC, ODOMETRY, odometry)
    truth = pack_xyz(scan.points, label=scan.labels)
    yield BagMessage(stamp_ns, GROUND_TRUTH_TOPIC, POINTCLOUD2, cloud_to_cdr(truth, stamp_ns, LIDAR_FRAME, True))
    cloud = pack_xyz(scan.points, intensity=scan.intensity, ring=scan.ring, time=scan.time)
    yield BagMessage(stamp_ns, POINTS_TOPIC, POINTCLOUD2, cloud_to_cdr(cloud, stamp_ns, LIDAR_FRAME, True))
