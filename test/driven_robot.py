# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot with a lidar that drives along a simulated street, sends its scans to a register node and hears it."""

import functools

import numpy as np
from live_node import PATIENCE, Listener, values_of
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.nodes.pointcloud2_msg import packed_message
from kpconv_ros.nodes.pose_msg import matrix_of_pose, stamp_of
from kpconv_ros.nodes.qos import stream_qos

PERIOD = 0.1  # s between two scans


@functools.cache
def simulated_scan(index):
    """Scan ``index`` of the drive; the sensor moves while it turns."""
    return street().scan(PERIOD * index)


@functools.cache
def street():
    return Simulator(SimulatorConfig(azimuth_steps=512, motion_distortion=True), seed=0)


def true_pose(index, first=0):
    """``T_first_index`` of the sensor."""
    return np.linalg.inv(simulated_scan(first).T_map_sensor) @ simulated_scan(index).T_map_sensor


def scan_message(stamp, scan=None, points=None, frame_id="lidar"):
    """A cloud with the fields of the simulated lidar, or of some points alone."""
    if points is None:
        columns = {"intensity": scan.intensity, "ring": scan.ring, "time": scan.time}
        points = scan.points
    else:
        columns = {"intensity": np.zeros(len(points), np.float32)}
    packed = pack_xyz(np.asarray(points, np.float32), **columns)
    return packed_message(packed, Header(stamp=stamp_of(stamp), frame_id=frame_id), is_dense=False)


def pose_of(message):
    """``T_odom_base`` of an Odometry message."""
    return matrix_of_pose(message.pose.pose.position, message.pose.pose.orientation)


def distance(T_a, T_b):
    """Metres between two poses."""
    return float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3]))


def deviation(message):
    """Standard deviation of the position, metres."""
    return float(np.sqrt(np.trace(message.pose.covariance.reshape(6, 6)[:3, :3])))


class DrivenRobot(Listener):
    """Sends one scan after the other, each when the one before was answered."""

    def __init__(self, context, namespace=""):
        super().__init__(context, f"robot{namespace}", diagnosed=f"{namespace}/register".lstrip("/"))
        self.of_node = f"/{namespace}/register".replace("//", "/")
        self.stamp, self.index = 1000.0, 0
        self.clouds = self.node.create_publisher(PointCloud2, f"{self.of_node}/input/points", stream_qos())
        self.odometry = self.listen_to(Odometry, "odometry")

    def listen_to(self, message_type, name, qos=None):
        """Keep what the node publishes on an output; return the topic."""
        topic = f"{self.of_node}/output/{name}"
        self.listen(message_type, topic, qos)
        return topic

    def wait_until_heard(self):
        """Send clouds that cannot be registered until one comes: publishers and subscriptions know each other."""
        for _ in range(int(PATIENCE)):
            self.send(points=np.zeros((1, 3)))
            try:
                return self.wait_for("/diagnostics", lambda message: int(values_of(message)["received"]) > 0, 1.0)
            except AssertionError:
                continue
        raise AssertionError(f"the node hears nothing: {self.last_status()}")

    def begin(self):
        """Have the node forget all, and begin the drive again, later."""
        assert self.ask(Trigger, f"{self.of_node}/reset", Trigger.Request()).success
        self.stamp, self.index = self.stamp + 50.0, 0

    def send(self, scan=None, points=None, frame_id="lidar", elapsed=PERIOD):
        """Send a cloud ``elapsed`` seconds after the last one."""
        self.stamp += elapsed
        message = scan_message(self.stamp, scan, points, frame_id)
        self.clouds.publish(message)
        return message

    def answer_to(self, sent, topic=None):
        """What the node says of a cloud."""
        return self.wait_for(topic or self.odometry, lambda message: message.header.stamp == sent.header.stamp)

    def drive(self, num_scans=1, elapsed=PERIOD):
        """Drive on; the odometry of each scan."""
        answers = []
        for _ in range(num_scans):
            answers.append(self.answer_to(self.send(simulated_scan(self.index), elapsed=elapsed)))
            self.index += 1
        return answers

    def error_of(self, odometry):
        """Metres between the answer to the scan sent last by `drive` and the truth."""
        return distance(pose_of(odometry), true_pose(self.index - 1))
