# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The register node's life: starting and stopping, wrong parameters, the end of the process."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")
from driven_robot import DrivenRobot  # noqa: E402
from lifecycle_msgs.msg import State, Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from live_node import SpinningNode  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from kpconv_ros.nodes.register_node import RegisterNode, main  # noqa: E402

pytestmark = pytest.mark.ros
PATIENCE = 60.0


@pytest.fixture
def robot(context):
    robot = DrivenRobot(context)
    yield robot
    robot.stop()


def change(robot, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return robot.ask(ChangeState, "/register/change_state", request).success


def state_of(robot):
    return robot.ask(GetState, "/register/get_state", GetState.Request()).current_state.id


def test_the_states_follow_each_other_and_back_and_a_new_life_knows_nothing_of_the_old(context, robot):
    node = SpinningNode(RegisterNode(context=context, parameter_overrides=[Parameter("autostart", value=False)]))
    try:
        assert state_of(robot) == State.PRIMARY_STATE_UNCONFIGURED
        for _ in range(2):
            assert change(robot, Transition.TRANSITION_CONFIGURE)
            assert state_of(robot) == State.PRIMARY_STATE_INACTIVE
            assert change(robot, Transition.TRANSITION_ACTIVATE)
            robot.heard["/diagnostics"].clear()
            robot.wait_until_heard()
            robot.index = 0
            first, last = robot.drive(5)[::4]
            assert first.pose.pose.position.x == pytest.approx(0.0, abs=1e-9) and last.pose.pose.position.x > 1.5
            assert change(robot, Transition.TRANSITION_DEACTIVATE)
            assert change(robot, Transition.TRANSITION_CLEANUP)
        assert state_of(robot) == State.PRIMARY_STATE_UNCONFIGURED
        assert change(robot, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    finally:
        node.stop()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("num_pionts:=100", "no parameter 'num_pionts'; did you mean 'num_points'?"),
        ("num_points:=-1", "'num_points' of node 'register': got -1, expected int 32 to 1000000"),
        ("search.runs:=0", "'search.runs' of node 'register': got 0, expected int 1 to 100"),
        ("time_unit:=hours", "time_unit: got 'hours', expected one of auto, s, ms, us, ns"),
        ("extrinsic_xyz:=[1.0, 0.0, 0.0]", "base_frame: got nothing, expected the frame"),
    ],
)
def test_a_wrong_parameter_ends_the_node_by_name(capsys, override, told):
    assert main(["--ros-args", "-p", override]) == 1
    assert told in capsys.readouterr().err


def test_an_unknown_sampler_leaves_the_node_unconfigured_with_the_reason(context, robot):
    node = SpinningNode(RegisterNode(context=context, parameter_overrides=[Parameter("sampler", value="dice")]))
    try:
        robot.wait_for_error("dice")
        assert state_of(robot) == State.PRIMARY_STATE_UNCONFIGURED
    finally:
        node.stop()


def test_the_process_with_the_shipped_parameters_ends_cleanly_on_a_signal(robot, repository):
    parameters = ["--params-file", str(repository / "config" / "register.yaml")]
    command = [sys.executable, "-m", "kpconv_ros.nodes.register_node", "--ros-args", *parameters]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        robot.wait_until_heard()
        robot.drive(3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors
