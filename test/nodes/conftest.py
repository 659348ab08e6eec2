# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A live segment node and somebody who sends it clouds and listens to what it says."""

import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

rclpy = pytest.importorskip("rclpy")
from live_node import PATIENCE, Listener, SpinningNode  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kpconv_ros.checkpoint import save_model, update_manifest  # noqa: E402
from kpconv_ros.data.pointcloud2 import pack_xyz  # noqa: E402
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig  # noqa: E402
from kpconv_ros.nodes.pointcloud2_msg import packed_message  # noqa: E402
from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, odometry_message, stamp_of  # noqa: E402
from kpconv_ros.nodes.qos import latched_qos, stream_qos  # noqa: E402

LABELS, COLORED, FILTERED, MAP, INFO = (
    f"/segment/output/{name}" for name in ("labels", "colored", "filtered", "map", "label_info")
)


class Probe(Listener):
    """Sends clouds and odometry to a segment node and keeps what it publishes."""

    def __init__(self, context):
        super().__init__(context, "probe", diagnosed="segment")
        self._stamp = 1000.0
        self.with_odometry = True
        self.clouds = self.node.create_publisher(PointCloud2, "/segment/input/points", stream_qos())
        self.odometry = self.node.create_publisher(Odometry, "/segment/input/odometry", stream_qos())
        for topic in (LABELS, COLORED, FILTERED):
            self.listen(PointCloud2, topic)
        self.listen(PointCloud2, MAP, latched_qos())

    def next_stamp(self):
        self._stamp += 0.1
        return self._stamp

    def go_back(self, seconds):
        self._stamp -= seconds

    def send(self, message, with_odometry=None):
        """Send a cloud and the odometry of its stamp."""
        if self.with_odometry if with_odometry is None else with_odometry:
            pose = matrix_of_xyz_rpy((0.1, 0.0, 0.0), (0.0, 0.0, 0.0))
            self.odometry.publish(odometry_message(pose, message.header.stamp, "odom", "lidar"))
        self.clouds.publish(message)
        return message

    def labels_of(self, message, timeout=PATIENCE):
        """The labelled cloud with the stamp of a message that was sent."""
        return self.wait_for(LABELS, lambda labelled: labelled.header.stamp == message.header.stamp, timeout)

    def assert_goes_on(self, num_points=500):
        """A good scan sent now is labelled, every point of it."""
        labelled = self.labels_of(self.send(street_message(self.next_stamp(), num_points)))
        assert labelled.width * labelled.height == num_points
        assert [field.name for field in labelled.fields][-2:] == ["label", "confidence"]

    def wait_until_heard(self):
        """Wait until a good scan is labelled: publishers and subscriptions have found each other."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            message = self.send(street_message(self.next_stamp()))
            try:
                return self.labels_of(message, timeout=1.0)
            except AssertionError:
                continue
        raise AssertionError(f"the node labels nothing: {self.last_status()}")


def street_points(num_points=500, seed=0):
    """A flat street with two walls, sensor frame, metres."""
    random = np.random.default_rng(seed)
    points = random.uniform((-8, -4, -1.73), (8, 4, -1.70), (num_points, 3))
    points[::3, 1] = np.where(points[::3, 1] > 0, 4.0, -4.0)
    points[::3, 2] = random.uniform(-1.7, 1.0, len(points[::3]))
    return points.astype(np.float32)


def street_message(stamp, num_points=500, frame_id="lidar", points=None):
    points = street_points(num_points) if points is None else points
    intensity = np.linspace(0, 1, len(points), dtype=np.float32)
    ring = np.zeros(len(points), np.uint16)
    packed = pack_xyz(points, intensity=intensity, ring=ring)
    return packed_message(packed, Header(stamp=stamp_of(stamp), frame_id=frame_id), True)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """A tiny KP-FCNN with random weights, saved as models are."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def save_tiny_model(folder, features=("one", "height", "intensity"), manifest_features=None):
    torch.manual_seed(0)
    config = KPFCNNConfig(
        3, len(features), voxel_size=0.3, width=8, encoder=("simple", "residual", "strided", "residual")
    )
    manifest = {
        "name": "tiny",
        "classes": ["unlabeled", "road", "car", "tree"],
        "colors": [[0, 0, 0], [128, 64, 128], [0, 0, 142], [107, 142, 35]],
        "sphere_radius": 4.0,
        "features": list(features),
        "intensity_scale": 1.0,
    }
    save_model(folder, KPFCNN(config), manifest)
    if manifest_features is not None:
        update_manifest(folder, features=tuple(manifest_features))
    return folder


@pytest.fixture(scope="session")
def make_model():
    """Saves tiny models: ``make_model(folder, features=..., manifest_features=...)``."""
    return save_tiny_model


@pytest.fixture(scope="session")
def context():
    """The one context of all nodes of this process.

    A context is a DDS participant. One that is made right after another ended takes over its GUID and ports, is taken
    for it when its farewell arrives late, and misses services and answers.
    """
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@contextmanager
def segment_nodes(context, model_folder):
    from kpconv_ros.nodes.segment_node import SegmentNode

    started = []

    def start(**parameters):
        values = {"model": str(model_folder), "device": "cpu", **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        started.append(SpinningNode(SegmentNode(context=context, parameter_overrides=overrides)))
        return started[-1]

    yield start
    for node in started:
        node.stop()


@pytest.fixture(scope="module")
def start_segment(context, model_folder):
    """Starts a segment node that lives as long as the module: ``start_segment(parameter=value, ...)``."""
    with segment_nodes(context, model_folder) as start:
        yield start


@pytest.fixture
def start_one(context, model_folder):
    """Starts a segment node that lives as long as the test."""
    with segment_nodes(context, model_folder) as start:
        yield start


@pytest.fixture(scope="module")
def probe(context):
    """The one who sends and listens, as long as the module."""
    probe = Probe(context)
    yield probe
    probe.stop()


@pytest.fixture
def new_probe(context):
    """The one who sends and listens, as long as the test."""
    probe = Probe(context)
    yield probe
    probe.stop()


@pytest.fixture(scope="session")
def make_street():
    """Makes good cloud messages: ``make_street(stamp, num_points=..., frame_id=..., points=...)``."""
    return street_message
