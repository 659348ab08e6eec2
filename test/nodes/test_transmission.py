# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes encode and decode, alive: a map goes over a link that loses, doubles and delays, and both may restart."""

import random
import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("kpconv_ros.msg", reason="needs the built messages: make build")
from live_node import PATIENCE, Listener, SpinningNode  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from kpconv_ros.data.pointcloud2 import pack_xyz, read_points  # noqa: E402
from kpconv_ros.msg import LatentTile, TileRequest  # noqa: E402
from kpconv_ros.nodes.decode_node import DecodeNode  # noqa: E402
from kpconv_ros.nodes.encode_node import EncodeNode  # noqa: E402
from kpconv_ros.nodes.link import link_qos  # noqa: E402
from kpconv_ros.nodes.pointcloud2_msg import packed_message  # noqa: E402
from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, odometry_message, stamp_of  # noqa: E402
from kpconv_ros.nodes.qos import latched_qos, stream_qos  # noqa: E402

pytestmark = pytest.mark.ros
MAP = "/decode/output/map"
FAST = {"rate": 400000.0, "index_period": 0.3, "schedule.min_period": 0.2, "levels": [400, 1500]}
QUICK = {"map_period": 0.2, "request_period": 0.2, "request_after": 0.2, "request_again": 0.5}


def street(seed=0):
    """Ground (1) and a wall (2) over eight tiles, map frame."""
    generator = np.random.default_rng(seed)
    points = generator.uniform((-30, -10, -1.0), (30, 10, -0.9), (6000, 3))
    wall = np.arange(6000) % 3 == 0
    points[wall, 1] = 9.0
    points[wall, 2] = generator.uniform(-1.0, 4.0, wall.sum())
    return points.astype(np.float32), np.where(wall, 2, 1).astype(np.uint8)


class Operator(Listener):
    """Publishes the map, hears the rebuilt one, and relays the link between them as badly as it is told to."""

    def __init__(self, context):
        super().__init__(context, "operator", diagnosed="decode")
        self.loss, self.copies, self.delay = 0.0, 1, 0.0
        self.num_relayed = 0
        self._random, self._held, self._lock = random.Random(0), [], threading.Lock()
        self._stamp = 100.0
        self.maps = self.node.create_publisher(PointCloud2, "/encode/input/map", stream_qos())
        self.scans = self.node.create_publisher(PointCloud2, "/encode/input/points", stream_qos())
        self.odometry = self.node.create_publisher(Odometry, "/encode/input/odometry", stream_qos())
        self.listen(PointCloud2, MAP, latched_qos())
        self._relay(LatentTile, "/encode/output/latents", "/decode/input/latents")
        self._relay(TileRequest, "/decode/output/requests", "/encode/input/requests")
        self._timer = self.node.create_timer(0.02, self._let_go)

    def _relay(self, message_type, source, target):
        publisher = self.node.create_publisher(message_type, target, link_qos())

        def pass_on(message):
            self.num_relayed += 1
            for _ in range(self.copies):
                if self._random.random() >= self.loss:
                    with self._lock:
                        self._held.append((time.monotonic() + self._random.uniform(0, self.delay), publisher, message))

        self.node.create_subscription(message_type, source, pass_on, link_qos())

    def _let_go(self):
        with self._lock:
            due = [entry for entry in self._held if entry[0] <= time.monotonic()]
            self._held = [entry for entry in self._held if entry not in due]
        for _, publisher, message in sorted(due, key=lambda entry: entry[0]):
            publisher.publish(message)

    def send_map(self, points, labels):
        self._stamp += 0.1
        message = packed_message(
            pack_xyz(points, label=labels), Header(stamp=stamp_of(self._stamp), frame_id="odom"), True
        )
        self.maps.publish(message)

    def latch_map(self, points, labels):
        """Publish a map once, as `segment` does: who comes later gets it."""
        self._latched = self.node.create_publisher(PointCloud2, "/encode/input/map", latched_qos())
        self.node.destroy_publisher(self.maps)
        header = Header(stamp=stamp_of(self._stamp), frame_id="odom")
        self._latched.publish(packed_message(pack_xyz(points, label=labels), header, True))

    def send_scan(self, points, labels, x):
        """A scan of a sensor at ``x`` of a frame named odom."""
        self._stamp += 0.1
        stamp = stamp_of(self._stamp)
        self.odometry.publish(odometry_message(matrix_of_xyz_rpy((x, 0, 0), (0, 0, 0)), stamp, "odom", "lidar"))
        packed = pack_xyz(points - np.float32([x, 0, 0]), label=labels)
        self.scans.publish(packed_message(packed, Header(stamp=stamp, frame_id="lidar"), True))

    def wait_until_shown(self, points, labels, send, within=1.2, timeout=PATIENCE):
        """Send until a map comes in which every point has one near it, mostly of its label."""
        deadline, seen = time.monotonic() + timeout, 0
        while time.monotonic() < deadline:
            send()
            time.sleep(0.2)
            heard = self.heard[MAP]
            if len(heard) > seen:
                seen = len(heard)
                share, agreement = compare(heard[-1], points, labels, within)
                if share > 0.995 and agreement > 0.9:
                    return heard[-1]
        raise AssertionError(f"heard {seen} maps, none was complete; {self.last_status()}")


def compare(message, points, labels, within):
    cloud = read_points(message)
    if not len(cloud.xyz):
        return 0.0, 0.0
    distances, nearest = cKDTree(cloud.xyz).query(points)
    return (distances < within).mean(), (cloud.points["label"][nearest] == labels).mean()


@pytest.fixture
def operator(context):
    operator = Operator(context)
    yield operator
    operator.stop()


@pytest.fixture
def start(context):
    """Starts a node: ``start(EncodeNode, cli_args=[], parameter=value, ...)``; all end with the test."""
    started = []

    def start_node(node_class, cli_args=(), **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = node_class(context=context, cli_args=list(cli_args), parameter_overrides=overrides)
        started.append(SpinningNode(node))
        return started[-1]

    yield start_node
    for node in started:
        if node.node is not None:
            node.stop()


def stop(node):
    node.stop()
    node.node = None


def test_a_map_arrives_with_frame_and_labels(operator, start):
    points, labels = street()
    start(EncodeNode, **FAST), start(DecodeNode, **QUICK)
    message = operator.wait_until_shown(points, labels, lambda: operator.send_map(points, labels))
    assert message.header.frame_id == "odom"
    assert [field.name for field in message.fields] == ["x", "y", "z", "label"]
    assert operator.wait_for_value("tiles", "8")["packets_refused"] == "0"


def test_registered_scans_do_as_well(operator, start):
    points, labels = street()
    start(EncodeNode, input="scans", pose_source="odometry", **FAST), start(DecodeNode, **QUICK)
    operator.wait_until_shown(points, labels, lambda: operator.send_scan(points, labels, 3.0))


def test_a_third_lost_the_rest_doubled_and_out_of_order(operator, start):
    operator.loss, operator.copies, operator.delay = 0.55, 2, 0.3  # of two copies, a third of the messages loses both
    points, labels = street()
    start(EncodeNode, **FAST), start(DecodeNode, **QUICK)
    operator.wait_until_shown(points, labels, lambda: operator.send_map(points, labels), timeout=60.0)


def test_a_receiver_that_comes_late_is_told_everything(operator, start):
    points, labels = street()
    start(EncodeNode, **FAST)
    deadline = time.monotonic() + PATIENCE
    while operator.num_relayed < 10 and time.monotonic() < deadline:
        operator.send_map(points, labels)
        time.sleep(0.2)
    start(DecodeNode, **QUICK)
    operator.wait_until_shown(points, labels, lambda: None)  # nothing changes any more: what is asked for is sent again


def test_the_sender_restarts_and_the_map_follows_its_new_session(operator, start):
    points, labels = street()
    encoder = start(EncodeNode, **FAST)
    start(DecodeNode, **QUICK)
    operator.wait_until_shown(points, labels, lambda: operator.send_map(points, labels))
    session = operator.wait_for_value("tiles", "8")["session"]
    stop(encoder)
    start(EncodeNode, **FAST)
    raised = points + np.float32([0, 0, 7.0])
    operator.heard[MAP].clear()
    message = operator.wait_until_shown(raised, labels, lambda: operator.send_map(raised, labels))
    assert compare(message, points, labels, 1.2)[0] > 0.99  # what came before is still there
    operator.wait_for("/diagnostics", lambda heard: session not in str(heard.status[0].values))


def test_an_empty_map_tells_that_its_frame_begins_anew(operator, start):
    start(EncodeNode, **FAST)
    start(DecodeNode, **QUICK, keep_after_restart=False)
    points, labels = street()
    moved = points + np.float32([200.0, 0.0, 0.0])
    operator.wait_until_shown(points, labels, lambda: operator.send_map(points, labels))
    operator.send_map(points[:0], labels[:0])
    time.sleep(0.3)  # DDS keeps the newest message alone
    shown = operator.wait_until_shown(moved, labels, lambda: operator.send_map(moved, labels))
    assert read_points(shown).xyz[:, 0].min() > 150.0  # nothing is left of what lay there before


def test_a_reset_of_the_receiver_is_made_good(operator, start):
    points, labels = street()
    start(EncodeNode, **FAST), start(DecodeNode, **QUICK)
    operator.wait_until_shown(points, labels, lambda: operator.send_map(points, labels))
    assert operator.ask(Trigger, "/decode/reset", Trigger.Request()).success
    operator.heard[MAP].clear()
    operator.wait_until_shown(points, labels, lambda: None)


def test_what_is_no_packet_is_refused_and_told(operator, start):
    start(DecodeNode, **QUICK)
    junk = operator.node.create_publisher(LatentTile, "/decode/input/latents", link_qos())
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        junk.publish(LatentTile(session=5, data=[3, 1, 2, 3]))
        time.sleep(0.2)
        if any("checksum" in str(message.status[0].values) for message in list(operator.heard["/diagnostics"])):
            break
    values = operator.last_status()[1]
    assert "checksum" in values["last_error"] and int(values["packets_refused"]) > 0
    assert values["tiles"] == "0" and not operator.heard[MAP]


def test_a_receiver_with_other_weights_says_so_and_shows_nothing(operator, start):
    points, labels = street()
    start(EncodeNode, **{**FAST, "levels": [128]})
    start(DecodeNode, latent_model="street_tiles_kitti", **QUICK)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        operator.send_map(points, labels)
        time.sleep(0.2)
        if any("same weights" in str(message.status[0].values) for message in list(operator.heard["/diagnostics"])):
            break
    values = operator.last_status()[1]
    assert "sender and receiver need the same weights" in values["last_error"] and values["tiles"] == "0"
    assert not any(len(read_points(message).xyz) for message in operator.heard[MAP])


def test_an_encoder_that_starts_later_takes_the_map_that_was_published_before(operator, start):
    points, labels = street()
    operator.latch_map(points, labels)
    start(EncodeNode, **FAST), start(DecodeNode, **QUICK)
    operator.wait_until_shown(points, labels, lambda: None)


def test_in_a_domain_of_its_own_the_link_alone_is_announced(operator, start):
    points, labels = street()
    domain = (operator.node.context.get_domain_id() + 1) % 101
    direct = ["--ros-args", "-r", "~/input/latents:=/encode/output/latents"]
    asked = ["--ros-args", "-r", "~/input/requests:=/decode/output/requests"]
    start(EncodeNode, asked, link_domain=domain, **FAST), start(DecodeNode, direct, link_domain=domain, **QUICK)
    operator.wait_until_shown(points, labels, lambda: operator.send_map(points, labels))
    assert operator.num_relayed == 0
    watcher_context = rclpy.Context()
    rclpy.init(args=[], context=watcher_context, domain_id=domain)
    watcher = rclpy.create_node("watcher", context=watcher_context, enable_rosout=False, start_parameter_services=False)
    try:
        topics = set()
        deadline = time.monotonic() + PATIENCE
        while "/decode/output/requests" not in topics and time.monotonic() < deadline:
            time.sleep(0.2)
            topics = {name for name, _ in watcher.get_topic_names_and_types()}
        assert topics == {"/encode/output/latents", "/decode/output/requests", "/parameter_events"}
    finally:
        watcher.destroy_node()
        rclpy.try_shutdown(context=watcher_context)
