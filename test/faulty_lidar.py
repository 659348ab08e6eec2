# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A lidar that never stops and can be made to fail, and what the nodes of other processes publish of its scans."""

import threading
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from driven_robot import deviation, pose_of
from live_node import PATIENCE, Listener, values_of
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import pack_xyz, read_points
from kpconv_ros.data.simulator import SimulatedScan, Simulator, SimulatorConfig
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, packed_message
from kpconv_ros.nodes.pose_msg import stamp_of
from kpconv_ros.nodes.qos import latched_qos, stream_qos

CLOUDS, LABELS, MAP = "/lidar/points", "/segment/output/labels", "/segment/output/map"
ODOMETRY = "/register/output/odometry"
PERIOD, WALL_PERIOD = 0.1, 0.15  # s between two scans by their stamps, and by the clock on the wall
WRONG = 0.15  # m; a motion between two scans that is off by more, and by more than it is known to be unsure, is wrong
MAPPED = 3  # scans in a map that is judged
ON_SURFACE = 0.4  # m; the voxels of the map have an edge of 0.3 m


class SentScan(NamedTuple):
    """A scan that was sent."""

    scan: SimulatedScan
    message: PointCloud2


class FaultyLidar(Listener):
    """Drives along a street without end and sends scans of it; keeps and judges what the nodes say."""

    def __init__(self, context):
        super().__init__(context, "faulty_lidar")
        config = SimulatorConfig(azimuth_steps=300, ego_speed=5.0, vehicles=0.0, people=0.0)
        self._simulator, self._driven = Simulator(config, seed=0), 0.0
        self.stamp, self.frame, self.make = 1000.0, "lidar", plain
        self.also = ""
        self.sent: dict[int, SentScan] = {}
        self._lock = threading.Lock()
        self._clock = self.node.create_publisher(Clock, "/clock", stream_qos())
        self._clouds = self.node.create_publisher(PointCloud2, CLOUDS, stream_qos())
        self.listen(PointCloud2, LABELS, stream_qos(depth=50))
        self._numbers: dict[int, int] = {}
        self.heard[ODOMETRY] = []
        self.node.create_subscription(Odometry, ODOMETRY, self._keep_odometry, stream_qos(depth=50))
        self.listen(PointCloud2, MAP, latched_qos())
        self._ended = threading.Event()
        self._sender = threading.Thread(target=self._send_on, daemon=True)
        self._sender.start()

    def stop(self):
        self._ended.set()
        self._sender.join(PATIENCE)
        super().stop()

    # --- faults

    def vanish(self):
        """Take the publisher away."""
        with self._lock:
            self.node.destroy_publisher(self._clouds)
            self._clouds = None

    def come_back(self, reliable=True):
        """Publish again."""
        with self._lock:
            self._clouds = self.node.create_publisher(PointCloud2, CLOUDS, stream_qos(reliable))

    def heal(self):
        """End what goes wrong with the lidar, whatever it was."""
        if self._clouds is None:
            self.come_back()
        self.change(frame="lidar", make=plain, also="")

    def change(self, **what):
        """From the next scan on: ``stamp``, ``frame``, ``make``, ``also``: the frame of a second lidar on the topic."""
        with self._lock:
            for name, value in what.items():
                setattr(self, name, value)

    # --- what is heard

    def next_labels(self, timeout=PATIENCE):
        """Labels of a scan that is sent from now on."""
        return self._next(LABELS, timeout)

    def next_odometry(self, timeout=PATIENCE):
        """Odometry of a scan that is sent from now on."""
        return self._next(ODOMETRY, timeout)

    def values(self, node):
        """The last diagnostics of a node."""
        with self._changed:
            heard = [message for message in self.heard["/diagnostics"] if message.status[0].name.startswith(node)]
        return values_of(heard[-1]) if heard else {}

    def wait_for_values(self, node, is_it):
        """Diagnostics of a node, from now on, whose values are as wanted."""
        begun = len(self.heard["/diagnostics"])

        def fits(message):
            is_new = self.heard["/diagnostics"].index(message) >= begun
            return is_new and message.status[0].name.startswith(node) and is_it(values_of(message))

        return values_of(self.wait_for("/diagnostics", fits))

    def _next(self, topic, timeout):
        with self._lock:
            sent_before = set(self.sent)
        return self.wait_for(topic, lambda message: key_of(message) not in sent_before, timeout)

    # --- whether it is right

    def check_labels(self):
        """Every labelled cloud is one that was sent, point by point; returns how many there are."""
        with self._changed:
            heard = list(self.heard[LABELS])
        for message in heard:
            sent = self.sent[key_of(message)].message
            assert message.header == sent.header and (message.height, message.width) == (sent.height, sent.width)
            points = read_points(message)
            np.testing.assert_array_equal(points.xyz, read_points(sent).xyz)
            assert points.points["label"].max() <= 3
        return len(heard)

    def check_odometry(self):
        """Every motion between two poses is the true one, unless the second begins anew; returns how many do."""
        with self._changed:
            heard = list(self.heard[ODOMETRY])
        beginnings = 0
        for message in heard:
            sent_frame = self.sent[key_of(message)].message.header.frame_id
            assert (message.header.frame_id, message.child_frame_id) == ("odom", sent_frame)
        for before, after in pairwise(heard):
            T_before, T_after = pose_of(before), pose_of(after)
            is_origin = np.array_equal(T_after, np.eye(4))  # exactly, though it drives
            if is_origin or self._numbers[key_of(after)] <= self._numbers[key_of(before)]:  # of another publisher
                beginnings += 1
                continue
            truth = np.linalg.inv(self._true_pose(before)) @ self._true_pose(after)
            error = np.linalg.inv(truth) @ np.linalg.inv(T_before) @ T_after
            allowed = max(WRONG, 3.0 * deviation(before), 3.0 * deviation(after))
            assert np.linalg.norm(error[:3, 3]) < allowed, (before, after, truth)
        return beginnings

    def share_of_map_on_street(self, since):
        """Share of a map's voxels that lie on the scans labelled since so many, seen from where it was."""

        def is_of_these(message):
            return key_of(message) in {key_of(labels) for labels in self.heard[LABELS][since + MAPPED :]}

        voted = self.wait_for(MAP, is_of_these)
        with self._changed:
            labelled = self.heard[LABELS][since:]
            at = next(message for message in self.heard[ODOMETRY] if key_of(message) == key_of(voted))
        T_odom_map = pose_of(at) @ np.linalg.inv(self._true_pose(at))
        scans = [self.sent[key_of(message)].scan for message in labelled]
        street = np.concatenate([move(T_odom_map @ scan.T_map_sensor, scan.points) for scan in scans])
        return float((cKDTree(street).query(read_points(voted).xyz)[0] < ON_SURFACE).mean())

    def _true_pose(self, message):
        return self.sent[key_of(message)].scan.T_map_sensor

    def _keep_odometry(self, message, info):
        with self._changed:
            self._numbers[key_of(message)] = info["publication_sequence_number"]
            self.heard[ODOMETRY].append(message)
            self._changed.notify_all()

    # --- the sender's thread

    def _send_on(self):
        while not self._ended.wait(WALL_PERIOD):
            with self._lock:
                self.stamp, self._driven = self.stamp + PERIOD, self._driven + PERIOD
                if self._clouds is None:
                    continue  # it drives on
                scan = self._simulator.scan(self._driven)
                self._clock.publish(Clock(clock=stamp_of(self.stamp)))
                self._publish(scan, self.stamp, self.frame)
                if self.also:  # half a turn later, looking the other way
                    turned = scan._replace(points=scan.points * np.float32([-1, -1, 1]))
                    self._publish(turned, self.stamp + PERIOD / 2, self.also)

    def _publish(self, scan, stamp, frame):
        message = self.make(scan, Header(stamp=stamp_of(stamp), frame_id=frame))
        self.sent[key_of(message)] = SentScan(scan, message)
        self._clouds.publish(message)


def key_of(message):
    """Stamp in nanoseconds, and with it the scan: stamps are never used twice."""
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def move(T, points):
    """Points laid into another frame."""
    return points @ T[:3, :3].T + T[:3, 3]


def plain(scan, header):
    """Float32, as most drivers send."""
    return packed_message(pack_xyz(scan.points, intensity=scan.intensity), header, is_dense=False)


def doubles(scan, header):
    """Big-endian float64 with padding, in another order, organised in two rows."""
    dtype = np.dtype({"names": ["intensity", "z", "y", "x"], "formats": [">f4", ">f8", ">f8", ">f8"],
                      "offsets": [2, 9, 17, 25], "itemsize": 40})  # fmt: skip
    points = np.zeros(len(scan.points) // 2 * 2, dtype)
    for axis, name in enumerate("xyz"):
        points[name] = scan.points[: len(points), axis]
    points["intensity"] = scan.intensity[: len(points)]
    message = cloud_message(points, header)
    message.height, message.width, message.row_step = 2, len(points) // 2, len(points) // 2 * message.point_step
    return message


def bare(scan, header):
    """Without the intensity that the model needs."""
    return packed_message(pack_xyz(scan.points), header, is_dense=False)
