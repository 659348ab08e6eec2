# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A lidar that never stops and can be made to fail, and what the nodes of other processes publish of its scans."""

import contextlib
import threading
from itertools import pairwise

import numpy as np
from live_node import PATIENCE, Listener, values_of
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import pack_xyz, read_points
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, packed_message
from kpconv_ros.nodes.pose_msg import matrix_of_pose, stamp_of
from kpconv_ros.nodes.qos import latched_qos, stream_qos

CLOUDS, LABELS, MAP, ODOMETRY = (
    "/lidar/points",
    "/segment/output/labels",
    "/segment/output/map",
    "/register/output/odometry",
)
PERIOD, WALL_PERIOD = 0.1, 0.15  # s between two scans by their stamps, and by the clock on the wall
NUM_SCANS = 14
WRONG = 0.15  # m; a motion between two scans that is off by more is wrong
ON_SURFACE = 0.5  # m; the map's voxels are of 0.3 m


class SentScan:
    """A scan that was sent."""

    def __init__(self, index, message):
        self.index, self.message = index, message


class FaultyLidar(Listener):
    """Sends scans without end, there and back along a street; keeps and judges what the nodes say."""

    def __init__(self, context):
        super().__init__(context, "faulty_lidar")
        simulator = Simulator(SimulatorConfig(azimuth_steps=300, ego_speed=5.0), seed=0)
        self.scans = [simulator.scan(PERIOD * index) for index in range(NUM_SCANS)]
        self.stamp, self.frame, self.make, self.num_sent = 1000.0, "lidar", plain, 0
        self.also = ""
        self.sent: dict[int, SentScan] = {}
        self._lock = threading.Lock()
        self._clock = self.node.create_publisher(Clock, "/clock", stream_qos())
        self._clouds = self.node.create_publisher(PointCloud2, CLOUDS, stream_qos())
        self.listen(PointCloud2, LABELS, stream_qos(depth=50))
        self.listen(Odometry, ODOMETRY, stream_qos(depth=50))
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
            assert (message.header.frame_id, message.child_frame_id) == (
                "odom",
                self.sent[key_of(message)].message.header.frame_id,
            )
        for before, after in pairwise(heard):
            T_before, T_after = (matrix_of_pose(m.pose.pose.position, m.pose.pose.orientation) for m in (before, after))
            if np.array_equal(T_after, np.eye(4)) and not np.array_equal(T_before, np.eye(4)):
                beginnings += 1
                continue
            truth = np.linalg.inv(self._true_pose(before)) @ self._true_pose(after)
            error = np.linalg.inv(truth) @ np.linalg.inv(T_before) @ T_after
            assert np.linalg.norm(error[:3, 3]) < WRONG, (before.header, after.header, truth[:3, 3], error[:3, 3])
        return beginnings

    def share_of_map_on_street(self):
        """Share of the voxels of the last map that lie on what the lidar saw from where it was."""
        with self._changed:
            voted = self.heard[MAP][-1]
            at = next(message for message in self.heard[ODOMETRY] if key_of(message) == key_of(voted))
        T_odom_sensor = matrix_of_pose(at.pose.pose.position, at.pose.pose.orientation)
        T_odom_map = T_odom_sensor @ np.linalg.inv(self._true_pose(at))
        street = np.concatenate([move(T_odom_map @ scan.T_map_sensor, scan.points) for scan in self.scans])
        return float((cKDTree(street).query(read_points(voted).xyz)[0] < ON_SURFACE).mean())

    def _true_pose(self, message):
        return self.scans[self.sent[key_of(message)].index].T_map_sensor

    # --- the sender's thread

    def _send_on(self):
        while not self._ended.wait(WALL_PERIOD):
            with self._lock:
                self.stamp += PERIOD
                index = there_and_back(self.num_sent)
                if self._clouds is None:
                    continue  # it stands still meanwhile
                message = self.make(self.scans[index], Header(stamp=stamp_of(self.stamp), frame_id=self.frame))
                self.num_sent += 1
                self.sent[key_of(message)] = SentScan(index, message)
                with contextlib.suppress(Exception):
                    self._clock.publish(Clock(clock=message.header.stamp))
                self._clouds.publish(message)
                if self.also:  # half a turn later, looking the other way
                    self._publish_second(index)

    def _publish_second(self, index):
        scan = self.scans[index]._replace(points=self.scans[index].points * np.float32([-1, -1, 1]))
        message = self.make(scan, Header(stamp=stamp_of(self.stamp + PERIOD / 2), frame_id=self.also))
        self.sent[key_of(message)] = SentScan(index, message)
        self._clouds.publish(message)


def there_and_back(number):
    """0, 1, ... , last, last - 1, ... , 1, 0, 1, ..."""
    turn = number % (2 * NUM_SCANS - 2)
    return min(turn, 2 * NUM_SCANS - 2 - turn)


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
    return cloud_message(points.reshape(2, -1), header)


def bare(scan, header):
    """Without the intensity that the model needs."""
    return packed_message(pack_xyz(scan.points), header, is_dense=False)
