# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A live node ``view`` as a process: what others publish is on its page and in its file."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("rerun")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402
from live_view import free_port, positions_in, shown_in  # noqa: E402
from nav_msgs.msg import Path  # noqa: E402
from std_msgs.msg import Float32, Header  # noqa: E402

from kpconv_ros.data.pointcloud2 import pack_xyz  # noqa: E402
from kpconv_ros.nodes.outputs import label_info_class  # noqa: E402
from kpconv_ros.nodes.pointcloud2_msg import packed_message  # noqa: E402
from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, odometry_message, stamp_of  # noqa: E402
from kpconv_ros.nodes.qos import latched_qos, stream_qos  # noqa: E402

pytestmark = pytest.mark.ros
PATIENCE = 60.0
POINTS = np.arange(30, dtype=np.float32).reshape(10, 3)
LABELS = np.array([1, 2, 1, 1, 0, 2, 1, 1, 0, 1], np.uint8)


class Robot:
    """Publishes what nodes of this package do."""

    def __init__(self, node):
        self.node, self._stamp = node, 1000.0
        self._publishers = {}

    def publish(self, topic, message, latched=False):
        if topic not in self._publishers:
            qos = latched_qos() if latched else stream_qos()
            self._publishers[topic] = self.node.create_publisher(type(message), topic, qos)
        self._publishers[topic].publish(message)

    def send_scan(self, topic, **fields):
        """A scan and the odometry of its stamp, 5 m along x."""
        self._stamp += 0.1
        stamp = stamp_of(self._stamp)
        pose = matrix_of_xyz_rpy((5.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        self.publish("/odom", odometry_message(pose, stamp, "odom", "lidar"))
        cloud = packed_message(pack_xyz(POINTS, **fields), Header(stamp=stamp, frame_id="lidar"), True)
        self.publish(topic, cloud)

    def send_the_rest(self):
        """The map, the names of the labels, a path, a time and diagnostics."""
        header = Header(frame_id="odom")
        self.publish("/segment/output/map", packed_message(pack_xyz(POINTS, label=LABELS), header, True), latched=True)
        info = label_info_class()(labels=[0, 1, 2], names=["unlabeled", "road", "car"])
        info.red, info.green, info.blue = [0, 255, 255], [0, 0, 255], [0, 255, 0]
        self.publish("/segment/output/label_info", info, latched=True)
        self.publish("/register/output/path", Path(header=header), latched=True)
        self.publish("/segment/debug/total_ms", Float32(data=41.5))
        keys = ("received", "dropped", "refused", "cap_kbit_s")
        status = DiagnosticStatus(name="encode: scans", values=[KeyValue(key=key, value="64") for key in keys])
        self.publish("/diagnostics", DiagnosticArray(status=[status]))


@pytest.fixture
def robot(context):
    node = rclpy.create_node("robot", context=context)
    yield Robot(node)
    node.destroy_node()


@pytest.fixture
def start():
    """Starts the node with parameters."""
    processes = []

    def start_process(**parameters):
        words = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-m", "kpconv_ros.nodes.view_node", "--ros-args", *words]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start_process
    for process in processes:
        process.kill()
        process.communicate()


def classes_on(port):
    """The legend of the page by name, or {} while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/classes") as answer:
            return {entry["name"]: entry["num_points"] for entry in json.loads(answer.read())}
    except urllib.error.URLError:
        return {}


def repeat(action, until):
    """Do something five times a second until something is so."""
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end, "it did not come to be so"
        action()
        time.sleep(0.2)


def test_raw_scans_are_shown_until_labelled_ones_come_and_all_is_in_the_file(robot, start, tmp_path):
    port, path = free_port(), tmp_path / "seen.rrd"
    process = start(port=port, save=path, map_period=0.1)
    raw = "/lidar/points"
    repeat(lambda: robot.send_scan(raw), lambda: classes_on(port).get("points") == 10)

    def send_all():
        robot.send_scan("/segment/output/labels", label=LABELS)
        robot.send_the_rest()

    expected = {"unlabeled": 4, "road": 12, "car": 4}  # in the scan and in the map
    repeat(send_all, lambda: classes_on(port) == expected)
    repeat(lambda: None, lambda: robot.node.count_subscribers(raw) == 0)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    shown = shown_in(path)
    np.testing.assert_array_equal(positions_in(shown, "/world/scan/car"), POINTS[LABELS == 2])
    np.testing.assert_array_equal(positions_in(shown, "/world/map/road"), POINTS[LABELS == 1])
    assert shown["/world/scan"]["translation"] == [[5.0, 0.0, 0.0]]
    assert shown["/latency/segment/total"]["scalars"] == [41.5]
    assert shown["/bandwidth/encode/cap"]["scalars"] == [64.0]
    assert "| encode | ok | 64 | 64 | 64 |" in shown["/diagnostics"]["text"][0]


def test_a_port_that_is_taken_ends_it_with_a_line(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(port=taken.getsockname()[1])
        _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "expected a free one: Address already in use" in complaint and "Traceback" not in complaint
