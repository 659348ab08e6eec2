# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A KITTI-layout sequence as ROS 2 messages, and ``kpconv-ros bag-from-kitti``, which writes them as a bag."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, STORAGES, BagMessage, BagWriter
from kpconv_ros.data.cdr_messages import cloud_to_cdr, odometry_to_cdr
from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.data.semantic_kitti import KittiSequence

POINTS_TOPIC = "/lidar/points"
GROUND_TRUTH_TOPIC = "/lidar/ground_truth"
ODOMETRY_TOPIC = "/odom"
LIDAR_FRAME = "lidar"
ODOMETRY_FRAME = "odom"
EPOCH_NS = 1_317_600_000_000_000_000
"""Stamp of a sequence's time 0: 3 October 2011, when KITTI was recorded. ROS takes a stamp of 0 for "unknown"."""


def scan_stamps(sequence: KittiSequence) -> list[int]:
    """Stamps of all scans, nanoseconds."""
    return [EPOCH_NS + round(float(stamp) * 1e9) for stamp in sequence.stamps]


def scan_messages(sequence: KittiSequence, index: int) -> list[BagMessage]:
    """Make the messages of one scan, all with its stamp.

    Returns:
        Odometry (with poses), ground truth (with labels: x, y, z, label in the order of the cloud), then the cloud.
    """
    scan, stamp_ns = sequence.scan(index), scan_stamps(sequence)[index]
    is_dense = bool(np.isfinite(scan.points).all())
    messages = []
    if scan.T_map_sensor is not None:
        cdr = odometry_to_cdr(scan.T_map_sensor, stamp_ns, ODOMETRY_FRAME, LIDAR_FRAME)
        messages.append(BagMessage(stamp_ns, ODOMETRY_TOPIC, ODOMETRY, cdr))
    if scan.labels is not None:
        cdr = cloud_to_cdr(pack_xyz(scan.points, label=scan.labels), stamp_ns, LIDAR_FRAME, is_dense)
        messages.append(BagMessage(stamp_ns, GROUND_TRUTH_TOPIC, POINTCLOUD2, cdr))
    cdr = cloud_to_cdr(pack_xyz(scan.points, intensity=scan.intensity), stamp_ns, LIDAR_FRAME, is_dense)
    messages.append(BagMessage(stamp_ns, POINTS_TOPIC, POINTCLOUD2, cdr))
    return messages


def sequence_messages(sequence: KittiSequence) -> Iterator[BagMessage]:
    """Iterate over the messages of a whole sequence, in the order of time."""
    for index in range(len(sequence)):
        yield from scan_messages(sequence, index)


def kitti_to_bag(sequence: KittiSequence, out: Path, storage: str = "mcap") -> dict[str, int]:
    """Write a sequence as a rosbag2.

    Returns:
        Number of messages of each topic.

    Raises:
        BagError: If the bag is there already.
        KittiError: If a scan is damaged.
    """
    counts: dict[str, int] = {}
    with BagWriter(out, storage) as writer:
        for message in sequence_messages(sequence):
            writer.write(message)
            counts[message.topic] = counts.get(message.topic, 0) + 1
    return counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/ (or the sequence folders themselves)")
    parser.add_argument("sequence", help="name of the sequence, such as 00")
    parser.add_argument("-o", "--out", type=Path, required=True, help="bag folder to create")
    parser.add_argument("--storage", choices=list(STORAGES), default="mcap", help="storage of the bag")


def run(args: argparse.Namespace) -> int:
    """Write the bag and print what is in it."""
    sequence = KittiSequence(args.root, args.sequence)
    counts = kitti_to_bag(sequence, args.out, args.storage)
    print(f"{args.out} ({args.storage}): " + ", ".join(f"{count} on {topic}" for topic, count in counts.items()))
    return 0
