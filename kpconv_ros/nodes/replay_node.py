# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``replay``: plays a rosbag2, a ROS 1 bag or a KITTI-layout folder as a lidar with odometry and ground truth.

One thread reads and publishes, bytes as they were recorded; the executor only listens to the consumer's answers.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.bags import BagError
from kpconv_ros.data.cdr_messages import stamp_of_cdr
from kpconv_ros.data.publication_log import PublicationLog
from kpconv_ros.data.recordings import (
    GROUND_TRUTH,
    ODOMETRY_KIND,
    POINTS,
    RecordedMessage,
    Recording,
    every_nth_cloud,
    open_recording,
)
from kpconv_ros.data.semantic_kitti import KittiError
from kpconv_ros.data.there_and_back import ThereAndBack
from kpconv_ros.nodes.answer_window import AnswerWindow
from kpconv_ros.nodes.parameters import ParameterError, check_no_unknown_parameters, declare_config
from kpconv_ros.nodes.qos import stream_qos
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.nodes.transforms import make_broadcaster

TOPICS = {
    POINTS: (PointCloud2, "lidar/points"),
    GROUND_TRUTH: (PointCloud2, "lidar/ground_truth"),
    ODOMETRY_KIND: (Odometry, "odom"),
}
# Clouds that may be unanswered; as_fast: one at work and one waiting, so the consumer never idles.
WINDOW_OF_MODE = {"lockstep": 1, "as_fast": 2}
LOOK_PERIOD = 0.1  # [s]
CLOCK_PERIOD = 0.02  # [s] between two /clock messages in mode rate
SETTLE_TIME = 1.2  # [s] a consumer may subscribe again 0.5 s after it found its publishers, with their reliability
DELIVERY_PATIENCE = 5.0  # [s] at the end


@dataclass(frozen=True)
class ReplayConfig:
    """What to play, and how fast."""

    path: str = param("", "rosbag2 folder, .mcap, .db3, ROS 1 .bag, or KITTI-layout folder")
    sequence: str = param("", "of the KITTI-layout folder, such as '00' (quoted); empty: path is a sequence or a bag")
    mode: str = param("rate", "rate: at a multiple of the recorded speed; lockstep: each cloud waits for the answer to "
                      "the one before; as_fast: likewise with one in hand, so the consumer never idles")  # fmt: skip
    rate: float = param(1.0, "multiple of the recorded speed, in mode rate", 0.01, 100.0)
    loop: bool = param(False, "begin again at the end; stamps and clock then jump back")
    stamps_go_on: bool = param(False, "with loop: there and back from memory, with stamps that go on, without ground "
                               "truth")  # fmt: skip
    start: float = param(0.0, "where to begin, after the beginning of the recording [s]", 0.0)
    duration: float = param(0.0, "how much to play [s]; 0: all", 0.0)
    stride: int = param(1, "play every so many clouds", 1, 1_000_000)
    max_clouds: int = param(0, "end after so many clouds; 0: all", 0)
    clock: bool = param(True, "publish the recorded time on /clock")
    publish_tf: bool = param(True, "send the odometry as TF too, where tf2_ros is installed")
    points_topic: str = param("", "topic of the clouds in the bag; empty: the only one")
    ground_truth_topic: str = param("", "topic of the labelled clouds in the bag; empty: the one so named")
    odometry_topic: str = param("", "topic of the odometry in the bag; empty: the only one")
    ack_topic: str = param("segment/output/labels", "the consumer's answer: a PointCloud2 with a cloud's stamp")
    ack_timeout: float = param(30.0, "how long to wait for an answer before the next cloud is published [s]", 0.1)
    log: str = param("", "file that gets the stamp and the time of publication of each cloud, in ns; empty: none")
    consumers: int = param(1, "subscribers of the clouds to wait for before playing", 1, 100)
    patience: float = param(30.0, "how long to wait for a consumer before playing [s]; in mode rate the recording is "
                            "then played to nobody, else this is an error", 0.0)  # fmt: skip

    def __post_init__(self) -> None:
        """Check the mode and that there is something to play."""
        if self.mode != "rate" and self.mode not in WINDOW_OF_MODE:
            raise ConfigError(f"mode: got {self.mode!r}, expected rate, lockstep or as_fast")
        if not self.path:
            raise ConfigError("path: got nothing, expected a bag or a KITTI-layout folder")
        if self.stamps_go_on and not self.loop:
            raise ConfigError("stamps_go_on: got true without loop, expected both")


class ReplayNode(Node):
    """Publishes a recording once its consumer is there, and ends the process when it is through.

    Raises:
        ParameterError: If a parameter is wrong or the recording cannot be read.
    """

    def __init__(self) -> None:
        super().__init__("replay")
        self._stop, self._done = threading.Event(), threading.Event()
        self._log: PublicationLog | None = None
        self._player = threading.Thread(target=self._play, name="player", daemon=True)
        self.config = declare_config(self, ReplayConfig)
        check_no_unknown_parameters(self)
        self.recording = _open(self.config)
        self.failed = False
        self.num_clouds = 0
        self._outputs = {
            kind: self.create_publisher(*TOPICS[kind], stream_qos(reliable=True)) for kind in self.recording.kinds
        }
        self._broadcast = make_broadcaster(self) if self.config.publish_tf else None
        self._clock_output = self.create_publisher(Clock, "/clock", stream_qos()) if self.config.clock else None
        self._log = _open_log(self.config.log)
        self._window: AnswerWindow | None = None
        if self.config.mode in WINDOW_OF_MODE:
            self._window = AnswerWindow(WINDOW_OF_MODE[self.config.mode])
            self.create_subscription(PointCloud2, self.config.ack_topic, self._take_answer, stream_qos(), raw=True)
        self.create_timer(LOOK_PERIOD, self._end_when_done, clock=RosClock(clock_type=ClockType.STEADY_TIME))
        self._player.start()

    def destroy_node(self) -> None:
        """Stop playing and leave."""
        self._stop.set()
        if self._player.is_alive():
            self._player.join()
        if self._log is not None:
            self._log.close()
        super().destroy_node()

    def _take_answer(self, message: bytes) -> None:
        if self._window is not None:
            self._window.answer(stamp_of_cdr(message))

    def _end_when_done(self) -> None:
        if self._done.is_set():
            raise ExternalShutdownException

    def _play(self) -> None:
        """Play to the end, in the player's thread."""
        try:
            if self._wait_for_consumer():
                started = time.monotonic()
                self._play_all()
                self._report(time.monotonic() - started)
        except (BagError, KittiError) as error:
            self._fail(str(error))
        except Exception:
            if self.context.ok():
                raise  # else interrupted while a message was on its way
        finally:
            self._done.set()

    def _play_all(self) -> None:
        self._play_once()
        while self.config.loop and not self._stop.is_set() and not self._is_enough():
            self._play_once()
        if self._window is not None:
            self._wait_for_room(self._window, self._window.size)
        if not self._stop.is_set():
            for output in self._outputs.values():
                output.wait_for_all_acked(Duration(seconds=DELIVERY_PATIENCE))

    def _play_once(self) -> None:
        begin_ns, begin, num_before, cloud_ns = None, 0.0, self.num_clouds, -1
        messages = self.recording.messages(self.config.start, self.config.duration or None)
        for message in every_nth_cloud(messages, self.config.stride):
            if begin_ns is None:
                begin_ns, begin = message.stamp_ns, time.monotonic()  # not before: it may take a while to load them
            if self._window is None:
                self._wait_until_due(begin_ns, message.stamp_ns, begin)
            elif message.kind != ODOMETRY_KIND and message.stamp_ns > cloud_ns:  # a new scan, or its ground truth
                self._wait_for_room(self._window)
            if self._stop.is_set():
                return
            self._publish(message)
            cloud_ns = message.stamp_ns if message.kind == POINTS else cloud_ns
            if self._is_enough():
                return
        if self.num_clouds == num_before:
            raise BagError(f"got no cloud between {self.config.start} s and the end of what is to be played")

    def _is_enough(self) -> bool:
        return 0 < self.config.max_clouds <= self.num_clouds

    def _publish(self, message: RecordedMessage) -> None:
        if message.kind == POINTS:
            self.num_clouds += 1
            if self._window is not None:
                self._window.add(stamp_of_cdr(message.cdr))
            if self._log is not None:
                self._log.note(stamp_of_cdr(message.cdr))
        self._publish_clock(message.stamp_ns)
        self._outputs[message.kind].publish(message.cdr)
        if message.kind == ODOMETRY_KIND and self._broadcast is not None:
            self._broadcast(deserialize_message(message.cdr, Odometry))

    def _publish_clock(self, stamp_ns: int) -> None:
        if self._clock_output is not None:
            self._clock_output.publish(Clock(clock=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)))

    def _wait_until_due(self, begin_ns: int, stamp_ns: int, begin: float) -> None:
        """Wait for a message's turn in mode rate; the clock goes on meanwhile."""
        due = begin + (stamp_ns - begin_ns) * 1e-9 / self.config.rate
        while (left := due - time.monotonic()) > 0 and not self._stop.wait(min(left, CLOCK_PERIOD)):
            now_ns = stamp_ns - round((due - time.monotonic()) * self.config.rate * 1e9)
            self._publish_clock(min(now_ns, stamp_ns))

    def _wait_for_room(self, window: AnswerWindow, room: int = 1) -> None:
        if not window.wait_for_room(self.config.ack_timeout, self._stop, room) and not self._stop.is_set():
            topic = self.resolve_topic_name(self.config.ack_topic)
            self.get_logger().warning(f"no answer on {topic} within {self.config.ack_timeout} s; going on")

    def _wait_for_consumer(self) -> bool:
        """Wait until there has been a consumer for a while, or patience ends."""
        began, found = time.monotonic(), None
        while not self._stop.wait(LOOK_PERIOD):
            now = time.monotonic()
            found = (found or now) if self._has_consumer() else None
            if found is not None and now - found >= SETTLE_TIME:
                return True
            if found is None and now - began >= self.config.patience:
                return self._go_without_consumer()
        return False

    def _has_consumer(self) -> bool:
        if self._window is not None and self.count_publishers(self.config.ack_topic) == 0:
            return False
        return bool(self._outputs[POINTS].get_subscription_count() >= self.config.consumers)

    def _go_without_consumer(self) -> bool:
        points, answers = self._outputs[POINTS].topic_name, self.resolve_topic_name(self.config.ack_topic)
        if self._window is None:
            self.get_logger().warning(f"nobody subscribes to {points}; playing nevertheless")
            return True
        self._fail(f"waited {self.config.patience} s for a subscriber of {points} that publishes {answers}, in vain")
        return False

    def _fail(self, reason: str) -> None:
        self.failed = True
        self.get_logger().error(reason)

    def _report(self, seconds: float) -> None:
        text = f"{self.num_clouds} clouds published in {seconds:.1f} s"
        if self._window is not None:
            text += f", {self._window.num_answered} answered, {self._window.num_unanswered} not"
        self.get_logger().info(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until the recording has been played; 1 if it could not be."""
    nodes: list[ReplayNode] = []

    def make_node() -> Node:
        nodes.append(ReplayNode())
        return nodes[0]

    status = spin_node(make_node, argv)
    return status or int(any(node.failed for node in nodes))


def _open(config: ReplayConfig) -> Recording:
    topics: dict[str, Any] = {
        name: getattr(config, name) for name in ("points_topic", "ground_truth_topic", "odometry_topic")
    }
    try:
        recording = open_recording(config.path, config.sequence, **topics)
        return ThereAndBack(recording) if config.stamps_go_on else recording
    except (BagError, KittiError) as error:
        raise ParameterError(f"path: {error}") from error


def _open_log(path: str) -> PublicationLog | None:
    try:
        return PublicationLog(Path(path)) if path else None
    except BagError as error:
        raise ParameterError(f"log: {error}") from error


if __name__ == "__main__":
    raise SystemExit(main())
