# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator as a live node: what arrives on its topics, and what it refuses."""

import subprocess
import sys
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

import yaml
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2

from kpconv_ros.data.pointcloud2 import field_dtype
from kpconv_ros.data.simulator import SIM_CLASSES, Simulator, SimulatorConfig
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.nodes.parameters import parameter_names
from kpconv_ros.nodes.pose_msg import matrix_of_pose, seconds_of
from kpconv_ros.nodes.qos import latched_qos, stream_qos
from kpconv_ros.nodes.simulate_node import SimulateNodeConfig
from kpconv_ros.nodes.true_map import TrueMapConfig

pytestmark = pytest.mark.ros
NUM_CLOUDS = 6
MAP = "lidar/true_map"
SETTINGS = {"seed": 2, "rings": 16, "azimuth_steps": 200, "rate": 10.0, "start": 3.0, "frame_id": "os_lidar"}
SETTINGS |= {"consumers": 1, "map_period": 0.2, "map_range": 30.0}
DEADLINE = 60.0  # s, for a machine that compiles first


def command(**settings):
    words = [f"{name}:={value}" for name, value in settings.items()]
    parameters = [word for pair in words for word in ("-p", pair)]
    return [sys.executable, "-m", "kpconv_ros.nodes.simulate_node", "--ros-args", *parameters]


def rows_of(message):
    return np.frombuffer(message.data, field_dtype(message))


@pytest.fixture(scope="module")
def received(context):
    """The first messages of each topic of a node in a process of its own: topic to list of messages."""
    node = rclpy.create_node("listener", context=context)
    topics = {"lidar/points": PointCloud2, "lidar/ground_truth": PointCloud2, "odom": Odometry}
    messages = {topic: [] for topic in topics}
    for topic, kind in topics.items():
        node.create_subscription(kind, topic, messages[topic].append, stream_qos())
    messages[MAP] = []
    node.create_subscription(PointCloud2, MAP, messages[MAP].append, latched_qos())
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    process = subprocess.Popen(command(**SETTINGS))
    deadline = time.monotonic() + DEADLINE
    while min(map(len, messages.values())) < NUM_CLOUDS + 1 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.2)
    process.terminate()
    assert process.wait(timeout=20.0) == 0
    executor.shutdown()
    node.destroy_node()
    return messages


def same_stamp(messages):
    """Cloud, ground truth and odometry of each stamp that all three topics have."""
    by_stamp = [{seconds_of(m.header.stamp): m for m in messages[t]} for t in messages if t != MAP]
    return [[found[stamp] for found in by_stamp] for stamp in sorted(set.intersection(*map(set, by_stamp)))]


def test_clouds_ground_truth_and_odometry_come_with_equal_stamps(received):
    assert len(same_stamp(received)) >= NUM_CLOUDS


def test_ground_truth_has_the_points_of_the_cloud_in_order_and_valid_labels(received):
    for points, truth, _ in same_stamp(received):
        points, truth = rows_of(points), rows_of(truth)
        assert points.dtype.names == ("x", "y", "z", "intensity", "ring", "time")
        assert [points.dtype[name].str for name in ("intensity", "ring", "time")] == ["<f4", "<u2", "<f4"]
        assert truth.dtype.names == ("x", "y", "z", "label") and truth.dtype["label"] == np.uint8
        for axis in "xyz":
            np.testing.assert_array_equal(points[axis], truth[axis])
        assert truth["label"].min() >= 1 and truth["label"].max() < len(SIM_CLASSES)


def test_scan_and_pose_are_those_of_the_simulator(received):
    simulator = Simulator(SimulatorConfig(rings=16, azimuth_steps=200), seed=2)
    drive = [simulator.scan(3.0 + k / 10.0) for k in range(40)]
    for points, _, odometry in same_stamp(received):
        rows = rows_of(points)
        scan = next(s for s in drive if len(s.points) == len(rows) and np.array_equal(s.points[:, 0], rows["x"]))
        pose = odometry.pose.pose
        np.testing.assert_allclose(matrix_of_pose(pose.position, pose.orientation), scan.T_map_sensor, atol=1e-6)


def test_the_true_map_has_the_labelled_points_of_all_scans_so_far(received):
    scans = same_stamp(received)
    for voxels in received[MAP]:
        stamp, table = seconds_of(voxels.header.stamp), rows_of(voxels)
        assert voxels.header.frame_id == "odom" and table.dtype.names == ("x", "y", "z", "label")
        places = np.stack([table[axis] for axis in "xyz"], axis=1)
        assert len(np.unique(np.floor(places / 0.2), axis=0)) > 0.98 * len(places)  # one a voxel, but for rounding
        before = [(truth, odometry) for _, truth, odometry in scans if seconds_of(truth.header.stamp) <= stamp]
        tree = cKDTree(places)
        for truth, odometry in before:
            pose, rows = odometry.pose.pose, rows_of(truth)
            near = np.hypot(rows["x"], rows["y"]) <= 30.0
            points = np.stack([rows[axis] for axis in "xyz"], axis=1)[near]
            apart, row = tree.query(transform_points(matrix_of_pose(pose.position, pose.orientation), points))
            assert apart.max() <= 0.2 * np.sqrt(3) + 1e-3
            assert (table["label"][row] == rows["label"][near]).mean() > 0.95
    assert len(received[MAP]) > 1


def test_frames_are_those_of_the_parameters(received):
    points, truth, odometry = same_stamp(received)[0]
    assert points.header.frame_id == truth.header.frame_id == odometry.child_frame_id == "os_lidar"
    assert odometry.header.frame_id == "odom"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"ringz": 3}, "ringz"),
        ({"rings": 0}, "rings"),
        ({"elevation_low": 0.5, "elevation_high": 0.1}, "elevation_high above"),
    ],
)
def test_a_wrong_parameter_ends_the_node_with_its_name(setting, message):
    done = subprocess.run(command(**setting), capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    assert message in done.stderr


def test_the_shipped_yaml_states_the_defaults_of_all_parameters(repository):
    content = yaml.safe_load((repository / "config" / "simulate.yaml").read_text())
    shipped = content["/**/simulate"]["ros__parameters"]
    configs = (SimulateNodeConfig(), TrueMapConfig(), SimulatorConfig())
    assert set(shipped) == {name for config in configs for name in parameter_names(type(config))}
    assert shipped == {name: value for config in configs for name, value in config.__dict__.items()}
