# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two nodes that only measurements use: clouds over the link, and the recorder of a map."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.nodes.carry_clouds_node import TOPIC
from kpconv_ros.nodes.pointcloud2_msg import packed_message
from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, odometry_message, stamp_of
from kpconv_ros.nodes.qos import latched_qos, stream_qos

pytestmark = pytest.mark.ros
PATIENCE = 30.0


@pytest.fixture
def node(context):
    node = rclpy.create_node("cloud_source", context=context)
    yield node
    node.destroy_node()


@pytest.fixture
def start():
    """Starts ``kpconv_ros.nodes.NAME_node`` as a process with parameters."""
    processes = []

    def start_process(name, *arguments, **parameters):
        words = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-m", f"kpconv_ros.nodes.{name}_node", "--ros-args", *words, *arguments]
        processes.append(subprocess.Popen(command))
        return processes[-1]

    yield start_process
    for process in processes:
        process.kill()
        process.wait()


def finish(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def cloud(points):
    labels = np.arange(len(points)).astype(np.uint8)
    return packed_message(pack_xyz(points, label=labels), Header(stamp=stamp_of(1.0), frame_id="odom"), True)


@pytest.mark.parametrize(("codec", "paced_rate"), [("raw", 0.0), ("draco", 0.0), ("draco", 1e6)])
def test_whole_clouds_are_counted(node, start, tmp_path, codec, paced_rate):
    points = np.random.default_rng(0).uniform(-20, 20, (2000, 3)).astype(np.float32)
    record = tmp_path / "arrived.json"
    publisher = node.create_publisher(PointCloud2, "/carry_clouds/input/points", stream_qos())
    receiver = start("carry_clouds", output=record)
    start("carry_clouds", "-r", "__node:=sender", "-r", "~/input/points:=/carry_clouds/input/points",
          codec=codec, paced_rate=paced_rate)  # fmt: skip
    wait_for(lambda: publisher.get_subscription_count() and node.count_subscribers(TOPIC))
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        publisher.publish(cloud(points))
        time.sleep(0.1)
    finish(receiver)
    arrived = json.loads(record.read_text())
    assert len(arrived) > 5 and all(0 <= entry["age_s"] < 2 for entry in arrived)
    sizes = {entry["bytes"] for entry in arrived}
    assert sizes == {2000 * 13} if codec == "raw" else max(sizes) < 2000 * 8


def test_the_recorder_keeps_the_versions_of_each_part(node, start, tmp_path):
    record = tmp_path / "map.npz"
    recorder = start("record_map", output=record)
    maps = node.create_publisher(PointCloud2, "/record_map/input/map", latched_qos())
    odometry = node.create_publisher(Odometry, "/record_map/input/odometry", stream_qos())
    wait_for(lambda: maps.get_subscription_count() and odometry.get_subscription_count())
    time.sleep(1.0)  # it subscribes to the odometry again, as reliable
    first = np.array([[1, 1, 0], [-1, 1, 0]], np.float32)
    maps.publish(cloud(first))
    time.sleep(0.5)
    maps.publish(cloud(np.array([[1, 1, 0], [-1, 1, 5]], np.float32)))
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "map.started").exists():
        assert time.monotonic() < deadline
        odometry.publish(odometry_message(matrix_of_xyz_rpy((3, 4, 5), (0, 0, 0)), stamp_of(2.0), "odom", "base"))
        time.sleep(0.2)
    finish(recorder)
    with np.load(record) as found:
        assert found["keys"].tolist() == [[-1, 0], [0, 0], [-1, 0]] and found["lengths"].tolist() == [1, 1, 1]
        assert found["points"][2].tolist() == [-1, 1, 5] and found["labels"].tolist() == [1, 0, 1]
        assert found["times"][0] < found["times"][2] and found["poses"][0, 1:].tolist() == [3, 4, 5]
