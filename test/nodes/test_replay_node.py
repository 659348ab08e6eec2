# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The replay node, playing to a live consumer over DDS."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy")

from kitti_layout import write_sequence  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402

from kpconv_ros.data.kitti_to_bag import EPOCH_NS, kitti_to_bag  # noqa: E402
from kpconv_ros.data.pointcloud2 import read_points  # noqa: E402
from kpconv_ros.data.publication_log import read_publications  # noqa: E402
from kpconv_ros.data.semantic_kitti import KittiSequence  # noqa: E402
from kpconv_ros.nodes.parameters import ParameterError, parameter_names  # noqa: E402
from kpconv_ros.nodes.qos import stream_qos  # noqa: E402
from kpconv_ros.nodes.replay_node import ReplayConfig, ReplayNode  # noqa: E402

pytestmark = pytest.mark.ros

NUM_SCANS = 4
STAMPS = [EPOCH_NS + 100_000_000 * scan for scan in range(NUM_SCANS)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A KITTI-layout sequence, and bags of it in both storages."""
    folder = tmp_path_factory.mktemp("recordings")
    write_sequence(folder / "sequence", NUM_SCANS)
    for storage in ("mcap", "sqlite3"):
        kitti_to_bag(KittiSequence(folder / "sequence"), folder / storage, storage)
    return folder


class Consumer:
    """Notes what it hears; answers every cloud, or those it is told to."""

    def __init__(self, answers=lambda number: True):
        self.node = rclpy.create_node("consumer", use_global_arguments=False)
        self.heard, self.clouds, self.clock, self.answers = [], [], [], answers
        self.output = self.node.create_publisher(PointCloud2, "segment/output/labels", stream_qos())
        self.node.create_subscription(PointCloud2, "lidar/points", self.take_cloud, stream_qos(depth=50))
        self.note(PointCloud2, "lidar/ground_truth")
        self.note(Odometry, "odom")
        self.node.create_subscription(Clock, "/clock", lambda message: self.clock.append(message.clock), stream_qos())

    def note(self, kind, topic):
        self.node.create_subscription(kind, topic, lambda message: self.heard.append((topic, message)), stream_qos())

    def take_cloud(self, message):
        self.clouds.append(message)
        if self.answers(len(self.clouds)):
            self.output.publish(message)

    def stamps(self):
        return [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in self.clouds]

    def of(self, topic):
        return [message for name, message in self.heard if name == topic]


def play(path, consumer_of=Consumer, timeout=20.0, **parameters):
    """Play to a consumer in this process until the node ends; returns the node and what the consumer got."""
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", "-p", f"path:={path}", *words])
    consumer = consumer_of()
    executor = SingleThreadedExecutor()
    executor.add_node(consumer.node)
    nodes = [consumer.node]
    try:
        replay = ReplayNode()
        nodes.append(replay)
        executor.add_node(replay)
        deadline = time.monotonic() + timeout
        with pytest.raises(ExternalShutdownException):
            while time.monotonic() < deadline:
                executor.spin_once(timeout_sec=0.1)
        executor.remove_node(replay)
        for _ in range(20):  # what was delivered but not yet taken
            executor.spin_once(timeout_sec=0.01)
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return replay, consumer


@pytest.mark.parametrize("recording", ["mcap", "sqlite3", "sequence"])
def test_in_lockstep_every_cloud_arrives_once_in_order_with_truth_and_pose(root, recording):
    replay, consumer = play(root / recording, mode="lockstep")
    assert consumer.stamps() == STAMPS
    assert len(consumer.of("lidar/ground_truth")) == len(consumer.of("odom")) == NUM_SCANS
    assert (replay._window.num_answered, replay._window.num_unanswered) == (NUM_SCANS, 0)
    scan = KittiSequence(root / "sequence").scan(3)
    assert (read_points(consumer.clouds[3]).xyz == scan.points).all()
    assert (read_points(consumer.of("lidar/ground_truth")[3]).points["label"] == scan.labels).all()
    assert consumer.of("odom")[3].pose.pose.position.x == pytest.approx(3.0)


def test_in_lockstep_the_next_cloud_waits_for_the_answer(root):
    threads = []

    class SlowConsumer(Consumer):
        most_waiting, waiting = 0, 0

        def take_cloud(self, message):
            self.clouds.append(message)
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            threads.append(threading.Timer(0.1, self.answer, [message]))
            threads[-1].start()

        def answer(self, message):
            self.waiting -= 1
            self.output.publish(message)

    _, consumer = play(root / "mcap", SlowConsumer, mode="lockstep")
    for thread in threads:
        thread.join()
    assert consumer.stamps() == STAMPS and consumer.most_waiting == 1


def test_a_missing_answer_is_given_up_after_the_timeout(root):
    def forgetful():
        return Consumer(answers=lambda number: number != 2)

    replay, consumer = play(root / "mcap", forgetful, mode="lockstep", ack_timeout=0.5)
    assert consumer.stamps() == STAMPS
    assert (replay._window.num_answered, replay._window.num_unanswered) == (NUM_SCANS - 1, 1)


def test_as_fast_as_the_consumer_goes_loses_no_cloud(root):
    replay, consumer = play(root / "mcap", mode="as_fast")
    assert consumer.stamps() == STAMPS
    assert replay._window.num_unanswered == 0


def test_at_a_rate_the_recorded_intervals_are_kept_and_the_clock_runs(root):
    began = time.monotonic()
    _, consumer = play(root / "mcap", mode="rate", rate=0.5)
    assert time.monotonic() - began > 0.6
    assert consumer.stamps() == STAMPS
    times = [stamp.sec * 10**9 + stamp.nanosec for stamp in consumer.clock]
    assert times == sorted(times) and len(times) > 10
    assert STAMPS[0] <= times[0] and times[-1] == STAMPS[-1]


def test_only_the_asked_part_is_played(root):
    _, consumer = play(root / "mcap", mode="lockstep", start=0.1, duration=0.2)
    assert consumer.stamps() == STAMPS[1:3]


def test_a_loop_begins_again(root):
    class TwoRounds(Consumer):
        def take_cloud(self, message):
            super().take_cloud(message)
            if len(self.clouds) == NUM_SCANS + 2:
                raise ExternalShutdownException

    replay, consumer = play(root / "mcap", TwoRounds, mode="lockstep", loop="true")
    assert consumer.stamps()[: NUM_SCANS + 2] == STAMPS + STAMPS[:2]
    assert not replay.failed


def test_nothing_to_play_is_a_failure(root):
    replay, consumer = play(root / "mcap", mode="lockstep", start=100.0)
    assert replay.failed and not consumer.clouds


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"path": "/absent/bag"}, "no such bag"),
        ({"path": ""}, "path"),
        ({"mode": "fast"}, "'fast', expected rate, lockstep or as_fast"),
        ({"rate": -1.0}, "rate"),
        ({"points_topic": "/front"}, "topic '/front', expected one of"),
        ({"speed": 2.0}, "no parameter 'speed'"),
    ],
)
def test_a_wrong_parameter_is_named(root, parameters, message):
    given = {"path": root / "mcap", **parameters}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value or repr('')}")]
    rclpy.init(args=["--ros-args", *words])
    try:
        with pytest.raises(ParameterError, match=message):
            ReplayNode()
    finally:
        rclpy.shutdown()


def test_the_parameter_file_has_every_parameter(repository: Path):
    import yaml

    content = yaml.safe_load((repository / "config" / "replay.yaml").read_text())
    [section] = content.values()
    assert set(section["ros__parameters"]) == set(parameter_names(ReplayConfig))


def test_it_waits_for_as_many_subscribers_as_it_is_told(root):
    replay, consumer = play(root / "mcap", mode="lockstep", consumers=2, patience=2.0)
    assert replay.failed and replay.num_clouds == 0 and not consumer.clouds


def test_a_process_without_a_consumer_ends_with_status_1_and_says_why(root):
    command = [sys.executable, "-m", "kpconv_ros.nodes.replay_node", "--ros-args", "-p", f"path:={root / 'mcap'}"]
    ended = subprocess.run(
        [*command, "-p", "mode:=lockstep", "-p", "patience:=0.3"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "waited 0.3 s for a subscriber of /lidar/points" in ended.stderr + ended.stdout


def test_every_nth_cloud_is_played_with_all_that_lies_between(root):
    _, consumer = play(root / "mcap", rate=20.0, stride=2)
    assert consumer.stamps() == STAMPS[::2]
    assert len(consumer.of("odom")) == NUM_SCANS


def test_there_and_back_it_goes_on_until_there_were_enough_clouds(root, tmp_path):
    log = tmp_path / "published.log"
    words = {"loop": "true", "stamps_go_on": "true", "max_clouds": 10, "rate": 20.0, "log": log}
    replay, consumer = play(root / "mcap", **words)
    assert replay.num_clouds == 10
    assert consumer.stamps() == [EPOCH_NS + 100_000_000 * index for index in range(10)]
    assert not consumer.of("lidar/ground_truth")
    published = read_publications(log)
    assert list(published) == consumer.stamps()
    times = list(published.values())
    assert (times[-1] - times[0]) * 1e-9 == pytest.approx(9 * 0.1 / 20.0, abs=0.05)


def test_stamps_that_go_on_need_a_loop(root):
    with pytest.raises(ParameterError, match="stamps_go_on: got true without loop"):
        play(root / "mcap", stamps_go_on="true")
