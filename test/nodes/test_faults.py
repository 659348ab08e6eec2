# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes under load, and what goes wrong around them: nothing hangs, nothing wrong is published.

The segment node takes its poses from the register node, so a fault of the one is one of the other.
"""

import resource
import signal
import time

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("kpconv_ros.msg", reason="needs the built messages: make build")
from faulty_lidar import CLOUDS, LABELS, ODOMETRY, FaultyLidar, bare, doubles, plain  # noqa: E402
from live_node import PATIENCE  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from kpconv_ros.data.clouds import read_cloud  # noqa: E402
from kpconv_ros.evaluation.live_run import ros_parameters  # noqa: E402
from kpconv_ros.evaluation.node_processes import NodeProcesses, end_of_log  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.slow]
START_PATIENCE = 8 * PATIENCE  # compiling what is not in the cache yet


class Robot:
    """Two processes and the lidar that they hear."""

    def __init__(self, lidar, nodes, model):
        self.lidar, self.nodes = lidar, nodes
        common = ros_parameters(use_sim_time=True)
        points = ("-r", f"~/input/points:={CLOUDS}")
        segment = ros_parameters(
            model=str(model), device="cpu", pose_source="odometry", pose_timeout=1.0, map_period=0.2
        )
        self._arguments = {
            "register": (*common, *points, *ros_parameters(publish_tf=False)),
            "segment": (*common, *points, *segment, "-r", f"~/input/odometry:={ODOMETRY}"),
        }

    def start(self, name):
        self.nodes.start(name, self._arguments[name])

    def kill(self, name):
        process = self.nodes.nodes[name].process
        process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL

    def assert_goes_on(self):
        """Scans that are sent from now on are placed and labelled, and all that was published is right."""
        self.lidar.next_odometry()
        self.lidar.next_labels()
        self.lidar.check_labels()
        return self.lidar.check_odometry()


@pytest.fixture(scope="module")
def robot(context, model_folder, tmp_path_factory):
    lidar = FaultyLidar(context)
    with NodeProcesses(tmp_path_factory.mktemp("robot")) as nodes:
        robot = Robot(lidar, nodes, model_folder)
        try:
            robot.start("register")
            robot.start("segment")
            lidar.next_labels(START_PATIENCE)
            yield robot
            for name, node in nodes.nodes.items():
                assert node.process.poll() is None, f"{name} ended:\n{end_of_log(node.log)}"
                assert "Traceback" not in node.log.read_text(), end_of_log(node.log, 60)
        finally:
            lidar.stop()


@pytest.fixture(autouse=True)
def _heal(robot):
    yield
    robot.lidar.heal()


def resets(robot, node="segment"):
    return int(robot.lidar.values(node)["resets"])


def test_a_publisher_that_changes_its_reliability_is_heard_either_way(robot):
    for reliable, told in ((False, "best effort"), (True, "reliable")):
        robot.lidar.vanish()
        robot.lidar.come_back(reliable)
        for node in ("register", "segment"):
            robot.lidar.wait_for_values(node, lambda values, told=told: told in values["input"])
        assert robot.assert_goes_on() == 0


def test_a_publisher_that_changes_its_layout_is_read_as_long_as_it_says_what_is_needed(robot):
    robot.lidar.change(make=doubles)
    labelled = robot.lidar.next_labels()
    assert labelled.is_bigendian and labelled.height == 2
    robot.lidar.change(make=bare)
    last = robot.lidar.next_odometry()  # it needs no intensity
    robot.lidar.wait_for_values("segment", lambda values: "expected an intensity" in values["last_error"])
    assert all(len(message.fields) > 4 for message in robot.lidar.heard[LABELS])
    robot.lidar.change(make=plain)
    assert robot.assert_goes_on() == 0 and last.header.frame_id == "odom"


def test_a_publisher_that_vanishes_and_comes_back_is_followed_again(robot):
    robot.lidar.vanish()
    robot.lidar.wait_for(
        "/diagnostics",
        lambda message: message.status[0].name.startswith("register") and "no cloud for" in message.status[0].message,
    )
    heard = len(robot.lidar.heard[LABELS])
    time.sleep(0.5)
    assert len(robot.lidar.heard[LABELS]) == heard  # nothing comes of nothing
    robot.lidar.come_back()
    assert robot.assert_goes_on() == 0


def test_of_two_lidars_on_one_topic_the_second_is_refused(robot):
    robot.lidar.change(also="lidar_behind")
    for node in ("register", "segment"):
        robot.lidar.wait_for_values(node, lambda values: "got a cloud in frame 'lidar_behind'" in values["last_error"])
    assert robot.assert_goes_on() == 0
    robot.lidar.change(also="")
    assert {message.header.frame_id for message in robot.lidar.heard[LABELS]} == {"lidar"}
    assert {message.child_frame_id for message in robot.lidar.heard[ODOMETRY]} == {"lidar"}


def test_another_frame_is_refused_until_the_odometry_is_told_to_begin_anew(robot):
    before = len(robot.lidar.heard[ODOMETRY])
    robot.lidar.change(frame="new_lidar")
    robot.lidar.wait_for_values(
        "register", lambda values: "got a cloud in frame 'new_lidar', expected 'lidar'" in values["last_error"]
    )
    assert robot.lidar.ask(Trigger, "/register/reset", Trigger.Request()).success
    robot.lidar.wait_for(ODOMETRY, lambda message: message.child_frame_id == "new_lidar")
    robot.lidar.wait_for(LABELS, lambda message: message.header.frame_id == "new_lidar")
    robot.lidar.change(frame="lidar")
    assert robot.lidar.ask(Trigger, "/register/reset", Trigger.Request()).success
    robot.lidar.wait_for(
        ODOMETRY,
        lambda message: message.child_frame_id == "lidar" and robot.lidar.heard[ODOMETRY].index(message) > before + 1,
    )
    robot.assert_goes_on()


def test_the_clock_jumping_back_begins_anew(robot):
    beginnings, reset = robot.assert_goes_on(), {node: resets(robot, node) for node in ("register", "segment")}
    robot.lidar.change(stamp=robot.lidar.stamp - 500.05)
    begun = len(robot.lidar.heard[LABELS])
    assert robot.assert_goes_on() == beginnings + 1
    for node, number in reset.items():
        robot.lidar.wait_for_values(node, lambda values, number=number: int(values["resets"]) == number + 1)
    assert robot.lidar.share_of_map_on_street(begun) > 0.99


def test_a_killed_segment_node_comes_back_under_load(robot):
    robot.kill("segment")
    first = robot.lidar.next_odometry()  # the other one goes on
    heard = len(robot.lidar.heard[LABELS])
    robot.start("segment")
    robot.lidar.next_labels(START_PATIENCE)
    robot.assert_goes_on()
    assert robot.lidar.share_of_map_on_street(heard) > 0.99 and first.header.frame_id == "odom"


def test_a_killed_register_node_comes_back_and_no_map_mixes_its_two_frames(robot):
    beginnings, reset = robot.assert_goes_on(), resets(robot)
    robot.kill("register")
    robot.lidar.wait_for_values("segment", lambda values: "no odometry within" in values["last_error"])
    heard, placed = len(robot.lidar.heard[LABELS]), len(robot.lidar.heard[ODOMETRY])
    assert len(robot.lidar.heard[ODOMETRY]) == placed  # the dead place nothing
    robot.start("register")
    robot.lidar.next_odometry(START_PATIENCE)
    assert robot.assert_goes_on() == beginnings + 1
    robot.lidar.wait_for_values("segment", lambda values: int(values["resets"]) == reset + 1)
    assert robot.lidar.share_of_map_on_street(heard) > 0.99


def test_a_full_disk_leaves_the_old_map_and_the_node_as_they_were(robot, tmp_path):
    from kpconv_ros.srv import SaveMap

    path = tmp_path / "map.ply"
    ask = lambda: robot.lidar.ask(SaveMap, "/segment/save_map", SaveMap.Request(path=str(path)))  # noqa: E731
    assert ask().success
    old = path.read_bytes()
    process = robot.nodes.nodes["segment"].process.pid
    unlimited = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (len(old) // 2, unlimited[1]))  # no file may grow beyond
    try:
        answer = ask()
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, unlimited)
    assert not answer.success and "is the disk full?" in answer.message
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
    robot.assert_goes_on()
    answer = ask()
    assert answer.success and len(read_cloud(path).points) == answer.num_voxels > 100
