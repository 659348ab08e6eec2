# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's life: models that do not load, starting and stopping, poses that are not there, the end of the process."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy")
import torch  # noqa: E402
from lifecycle_msgs.msg import State, Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from live_node import values_of  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, odometry_message  # noqa: E402
from kpconv_ros.nodes.segment_node import main  # noqa: E402

pytestmark = pytest.mark.ros
PATIENCE = 60.0


def state_of(probe):
    return probe.ask(GetState, "/segment/get_state", GetState.Request()).current_state.id


def change(probe, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return probe.ask(ChangeState, "/segment/change_state", request).success


def tamper(folder):
    weights = folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "weights.safetensors").unlink(), "which is missing"),
        (lambda folder: (folder / "manifest.yaml").unlink(), "no manifest.yaml"),
        (lambda folder: (folder / "manifest.yaml").write_text("name: [1"), "manifest.yaml"),
        (tamper, "the file was altered"),
    ],
)
def test_a_spoilt_model_is_refused_and_the_node_lives_unconfigured(
    start_one, new_probe, make_model, tmp_path, spoil, told
):
    folder = make_model(tmp_path / "model")
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    spoil(folder)
    start_one(model=str(folder))
    new_probe.wait_for_error(told)
    assert state_of(new_probe) == State.PRIMARY_STATE_UNCONFIGURED
    for path, content in kept.items():
        path.write_bytes(content)
    assert change(new_probe, Transition.TRANSITION_CONFIGURE) and change(new_probe, Transition.TRANSITION_ACTIVATE)
    new_probe.wait_until_heard()


@pytest.mark.parametrize("features", [("one",), ("one", "height", "intensity")])
def test_a_manifest_for_other_features_is_refused(start_one, new_probe, make_model, tmp_path, features):
    folder = make_model(tmp_path / "model", features=("one", "height"), manifest_features=features)
    start_one(model=str(folder))
    new_probe.wait_for_error("cannot configure")
    assert state_of(new_probe) == State.PRIMARY_STATE_UNCONFIGURED


def test_a_lost_device_leaves_the_node_unconfigured_and_it_can_be_configured_again(start_one, new_probe, make_street):
    started = start_one()
    new_probe.wait_until_heard()

    def fail(*arguments):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    started.node._segmenter._classifier._run = fail
    new_probe.send(make_street(new_probe.next_stamp()))
    new_probe.wait_for_error("an illegal memory access was encountered")
    new_probe.wait_for_value("state", "unconfigured")
    assert state_of(new_probe) == State.PRIMARY_STATE_UNCONFIGURED and started.node._segmenter is None
    assert change(new_probe, Transition.TRANSITION_CONFIGURE) and change(new_probe, Transition.TRANSITION_ACTIVATE)
    new_probe.wait_until_heard()


def test_the_states_follow_each_other_and_back(start_one, new_probe):
    start_one(autostart=False)
    assert state_of(new_probe) == State.PRIMARY_STATE_UNCONFIGURED
    for _ in range(2):
        assert change(new_probe, Transition.TRANSITION_CONFIGURE)
        assert state_of(new_probe) == State.PRIMARY_STATE_INACTIVE
        assert change(new_probe, Transition.TRANSITION_ACTIVATE)
        new_probe.wait_until_heard()
        assert change(new_probe, Transition.TRANSITION_DEACTIVATE)
        assert change(new_probe, Transition.TRANSITION_CLEANUP)
    assert state_of(new_probe) == State.PRIMARY_STATE_UNCONFIGURED
    assert change(new_probe, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)


def test_without_poses_scans_stand_alone_and_the_diagnostics_say_so(start_one, new_probe, make_street):
    start_one()
    new_probe.with_odometry = False
    new_probe.wait_until_heard()
    new_probe.wait_for("/diagnostics", lambda message: "scan by scan: no TF" in message.status[0].message)
    stranger = make_street(new_probe.next_stamp(), frame_id="left_foot")
    assert new_probe.labels_of(new_probe.send(stranger)).header.frame_id == "left_foot"


def test_odometry_is_found_when_it_comes(start_one, new_probe):
    start_one()
    new_probe.with_odometry = False
    new_probe.wait_until_heard()
    new_probe.with_odometry = True
    new_probe.wait_until_heard()
    values = new_probe.wait_for_value("pose_source", "odometry")
    assert values["state"] == "active"


def test_tf_is_refused_by_name_where_it_is_not_installed(start_one, new_probe):
    import importlib.util

    if importlib.util.find_spec("tf2_ros") is not None:
        pytest.skip("tf2_ros is installed")
    start_one(pose_source="tf")
    new_probe.wait_for_error("tf2_ros is not installed")
    assert state_of(new_probe) == State.PRIMARY_STATE_INACTIVE


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("time_bugdet:=0.1", "no parameter 'time_bugdet'; did you mean 'time_budget'?"),
        ("time_budget:=-1.0", "'time_budget' of node 'segment': got -1.0, expected float 0.0 to 60.0"),
        ("max_points:=many", "got 'many', expected int"),
        ("pose_source:=gps", "got 'gps', expected one of auto, tf, odometry, none"),
    ],
)
def test_a_wrong_parameter_ends_the_node_by_name(capsys, override, told):
    assert main(["--ros-args", "-p", override]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("section", "told"), [("segment", "'modle'"), ("segmnet", "expected one for /segment")])
def test_a_wrong_key_in_a_parameter_file_ends_the_node_by_name(capsys, tmp_path, section, told):
    path = tmp_path / "params.yaml"
    path.write_text(f"/{section}:\n  ros__parameters:\n    modle: street_sim\n")
    assert main(["--ros-args", "--params-file", str(path)]) == 1
    assert told in capsys.readouterr().err


def test_arguments_that_are_none_of_ros_are_refused(capsys):
    assert main(["model:=street_sim"]) == 1
    assert "unknown arguments ['model:=street_sim']" in capsys.readouterr().err


def test_the_process_of_a_refused_node_ends_with_status_1():
    command = [sys.executable, "-m", "kpconv_ros.nodes.segment_node", "--ros-args", "-p", "modle:=x"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert "did you mean 'model'" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_process_ends_cleanly_on_a_signal(new_probe, model_folder, sign):
    command = [sys.executable, "-m", "kpconv_ros.nodes.segment_node", "--ros-args", "-p", f"model:={model_folder}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        new_probe.wait_until_heard()
        process.send_signal(sign)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_odometry_that_comes_later_than_its_scan_is_waited_for(new_probe, start_one, make_street):
    start_one(pose_source="odometry", pose_timeout=2.0)
    new_probe.wait_until_heard()
    new_probe.next_stamp()
    message = make_street(new_probe.next_stamp())
    new_probe.send(message, with_odometry=False)
    time.sleep(0.5)
    pose = matrix_of_xyz_rpy((0.1, 0.0, 0.0), (0.0, 0.0, 0.0))
    new_probe.odometry.publish(odometry_message(pose, message.header.stamp, "odom", "lidar"))
    new_probe.labels_of(message)
    told = new_probe.wait_for("/diagnostics", lambda said: float(values_of(said)["pose_wait_ms"] or 0.0) > 200.0)
    assert values_of(told)["state"] == "active"


def num_left(said):
    """How many scans were not worked on."""
    return int(values_of(said)["refused"]) + int(values_of(said)["dropped"])


def test_odometry_that_stops_costs_each_scan_the_timeout_and_no_more(new_probe, start_one, make_street):
    start_one(pose_source="odometry", pose_timeout=0.3)
    new_probe.wait_until_heard()
    good = new_probe.wait_for("/diagnostics", lambda said: int(values_of(said)["processed"]) > 0)
    refused_before = int(values_of(good)["refused"])
    began, num_sent = time.monotonic(), 20
    new_probe.next_stamp()
    for _ in range(num_sent):
        new_probe.send(make_street(new_probe.next_stamp()), with_odometry=False)
        time.sleep(0.05)
    told = values_of(new_probe.wait_for_error("no odometry within 0.05 s"))
    assert int(told["refused"]) - refused_before <= (time.monotonic() - began) / 0.3 + 1
    assert new_probe.ask(Trigger, "/segment/reset", Trigger.Request()).success  # it still answers
    new_probe.assert_goes_on()
    new_probe.wait_for("/diagnostics", lambda said: num_left(said) >= num_sent - 1)  # none is kept for later
