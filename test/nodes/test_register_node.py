# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live register node: it follows a robot, says when it cannot, and finds back."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
from driven_robot import (  # noqa: E402
    PERIOD,
    DrivenRobot,
    deviation,
    distance,
    pose_of,
    scan_message,
    simulated_scan,
    true_pose,
)
from live_node import SpinningNode, values_of  # noqa: E402
from nav_msgs.msg import Path  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from stand_in_tf import stand_in_for_tf2  # noqa: E402
from std_msgs.msg import Float32  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from kpconv_ros.data.pointcloud2 import pack_points, read_points  # noqa: E402
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, message_bytes, packed_message  # noqa: E402
from kpconv_ros.nodes.qos import latched_qos  # noqa: E402
from kpconv_ros.nodes.register_node import RegisterNode  # noqa: E402

pytestmark = pytest.mark.ros
SPEED = 5.0  # m/s of the simulated robot
FOLLOWED = 0.15  # m: an error of this size is none of a robot that lost its way


def start_node(context, namespace=None, **parameters):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return SpinningNode(RegisterNode(context=context, namespace=namespace, parameter_overrides=overrides))


@pytest.fixture(scope="module")
def register(context):
    """The node, as long as the module."""
    node = start_node(context, path_period=0.0)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def heard_robot(context, register):
    """The robot that the node hears, as long as the module."""
    robot = DrivenRobot(context)
    robot.wait_until_heard()
    yield robot
    robot.stop()


@pytest.fixture
def robot(heard_robot):
    """The robot at the beginning of its drive."""
    heard_robot.begin()
    return heard_robot


@pytest.fixture
def start_another(context):
    """Starts a register node with parameters and a robot for it, as long as the test."""
    started = []

    def start(**parameters):
        started.append(start_node(context, "another", **parameters))
        started.append(DrivenRobot(context, "another"))
        started[-1].wait_until_heard()
        return started[-1]

    yield start
    for node in reversed(started):
        node.stop()


# Following ----------------------------------------------------------------------------------------------------------


def test_the_odometry_follows_the_true_poses(robot):
    for _ in range(30):
        (odometry,) = robot.drive()
        assert robot.error_of(odometry) < FOLLOWED
    assert robot.index == 30 and pose_of(odometry)[0, 3] > 14.0  # it did drive
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "lidar")
    assert odometry.twist.twist.linear.x == pytest.approx(SPEED, rel=0.2)
    covariance = odometry.pose.covariance.reshape(6, 6)
    assert (np.linalg.eigvalsh(covariance) > 0).all() and deviation(odometry) < 0.1
    assert (np.linalg.eigvalsh(odometry.twist.covariance.reshape(6, 6)) > 0).all()


def test_the_first_scan_is_the_origin_and_says_nothing_of_the_speed(robot):
    (odometry,) = robot.drive()
    np.testing.assert_allclose(pose_of(odometry), np.eye(4), atol=1e-9)
    assert odometry.twist.covariance[0] >= SPEED**2


def test_sampled_points_are_points_of_the_scan_with_all_their_fields(robot):
    topic = robot.listen_to(PointCloud2, "sampled")
    robot.drive(2)
    sent = robot.send(simulated_scan(2))
    sampled, scan = read_points(robot.answer_to(sent, topic)), read_points(sent)
    assert len(sampled.points) == 1024
    assert sampled.points.dtype.names == scan.points.dtype.names
    assert set(sampled.points.tolist()) <= set(scan.points.tolist())


def test_the_deskewed_cloud_is_that_of_a_sensor_that_stood_still(robot):
    topic = robot.listen_to(PointCloud2, "deskewed")
    robot.drive(3)
    sent = robot.send(simulated_scan(3))
    deskewed, bent = read_points(robot.answer_to(sent, topic)), read_points(sent)
    motion = np.outer(bent.points["time"], [SPEED, 0.0, 0.0])  # the street is straight here
    errors = np.linalg.norm(deskewed.xyz - (bent.xyz + motion), axis=1)
    assert errors.max() < 0.2 * np.linalg.norm(motion, axis=1).max()
    assert "time" not in deskewed.points.dtype.names and "ring" in deskewed.points.dtype.names


def test_the_path_grows_and_reaches_late_joiners(robot):
    last = robot.drive(6)[-1]
    topic = robot.listen_to(Path, "path", latched_qos())
    path = robot.wait_for(topic, lambda message: message.header.stamp == last.header.stamp)
    travelled = [pose.pose.position.x for pose in path.poses]
    assert path.header.frame_id == "odom" and len(travelled) >= 4
    assert travelled == sorted(travelled) and np.diff(travelled).min() > 0.49  # path_spacing


def test_diagnostics_and_timings_tell_how_it_goes(robot):
    robot.listen(Float32, "/register/debug/total_ms")
    robot.drive(5)
    status = robot.wait_for("/diagnostics", lambda message: values_of(message)["status"] == "tracking").status[0]
    values = {value.key: value.value for value in status.values}
    assert 0.5 < float(values["fitness"]) <= 1.0 and 0.0 < float(values["conditioning"]) <= 1.0
    assert values["sampled"] == "1024" and int(values["map_points"]) > 1000 and values["deskew"] == "on"
    robot.drive()
    assert robot.wait_for("/register/debug/total_ms", lambda message: True).data > 0


def test_without_tf_the_diagnostics_say_that_none_is_published(robot):
    import importlib.util

    if importlib.util.find_spec("tf2_ros") is not None:
        pytest.skip("tf2_ros is installed")
    text = "not published: tf2_ros is not installed"
    robot.wait_for("/diagnostics", lambda message: values_of(message)["tf"] == text)


@pytest.mark.parametrize(("invert_tf", "frames"), [(False, ("odom", "lidar")), (True, ("lidar", "odom"))])
def test_believed_poses_go_to_tf_and_held_ones_do_not(start_another, monkeypatch, invert_tf, frames):
    sent = stand_in_for_tf2(monkeypatch, parent="odom", child="lidar")
    robot = start_another(invert_tf=invert_tf)
    answers = robot.drive(4)
    robot.answer_to(robot.send(points=sphere_points(50, 10.0)))
    assert [transform.header.stamp for transform in sent] == [answer.header.stamp for answer in answers]
    assert (sent[-1].header.frame_id, sent[-1].child_frame_id) == frames
    expected = pose_of(answers[-1])[0, 3] * (-1 if invert_tf else 1)
    assert abs(expected) > 1.0 and sent[-1].transform.translation.x == pytest.approx(expected, abs=0.05)


def test_the_odometry_of_the_base_is_published_where_it_is_told_where_the_sensor_is(start_another):
    robot = start_another(
        base_frame="base_link", sensor_frame="lidar", extrinsic_xyz=[1.0, 0.0, 2.0], extrinsic_rpy=[0.0, 0.0, np.pi]
    )
    last = robot.drive(4)[-1]
    assert last.child_frame_id == "base_link"
    truth = true_pose(3)
    np.testing.assert_allclose(pose_of(last)[:3, 3], truth[:3, 3] * [-1.0, -1.0, 1.0], atol=FOLLOWED)
    assert last.twist.twist.linear.x == pytest.approx(-SPEED, rel=0.2)  # the sensor looks backwards
    robot.send(simulated_scan(4), frame_id="left_foot")
    robot.wait_for_error("got a cloud in frame 'left_foot', expected 'lidar'")


def test_a_base_frame_that_nothing_leads_to_is_refused(start_another):
    import importlib.util

    if importlib.util.find_spec("tf2_ros") is not None:
        pytest.skip("tf2_ros is installed")
    robot = start_another(base_frame="base_link")
    robot.send(simulated_scan(0))
    robot.wait_for_error("got a cloud in frame 'lidar', expected 'base_link': tf2_ros is not installed; set sensor_fr")
    assert not robot.heard[robot.odometry]


# Recovery -----------------------------------------------------------------------------------------------------------


def assert_held(robot, held, last_good):
    """The last good pose is held with a greater covariance, and nobody is told a speed."""
    assert distance(pose_of(held), pose_of(last_good)) < 1e-6
    assert deviation(held) > 3 * deviation(last_good)
    assert held.twist.twist.linear.x == 0.0 and held.twist.covariance[0] >= SPEED**2


def assert_finds_back(robot):
    assert robot.error_of(robot.drive(3)[-1]) < FOLLOWED
    robot.wait_for("/diagnostics", lambda message: values_of(message)["status"] == "tracking")


def sphere_points(num_points, radius):
    """What a sensor under a cover, or almost nothing, returns."""
    directions = np.random.default_rng(0).normal(size=(num_points, 3))
    return radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (sphere_points(20_000, 0.3), "lost: 0 points in range"),  # covered
        (sphere_points(50, 10.0), "lost: 50 points in range, expected at least 200"),
        (np.zeros((0, 3)), "lost: 0 points in range"),
        (np.full((500, 3), np.nan), "lost: 0 points in range"),
        (sphere_points(20_000, 4.0), "lost: "),  # thick fog
    ],
    ids=["covered", "50 points", "empty", "nan", "fog"],
)
def test_scans_that_show_nothing_hold_the_pose_and_it_finds_back(robot, points, told):
    last_good = robot.drive(10)[-1]
    for _ in range(3):
        held = robot.answer_to(robot.send(points=points))
        assert_held(robot, held, last_good)
    robot.wait_for_error(told)
    robot.index += 3  # it drove on meanwhile
    assert_finds_back(robot)


def test_held_poses_are_not_published_where_that_is_not_wanted(start_another):
    robot = start_another(publish_held=False)
    robot.drive(3)
    lost = robot.send(points=sphere_points(50, 10.0))
    robot.wait_for_error("lost: 50 points in range")
    robot.index += 1
    assert robot.error_of(robot.drive(2)[-1]) < FOLLOWED
    assert all(message.header.stamp != lost.header.stamp for message in robot.heard[robot.odometry])


def test_a_jump_is_not_believed(robot):
    last_good = robot.drive(10)[-1]
    held = robot.answer_to(robot.send(simulated_scan(150)))  # 70 m ahead within 0.1 s
    assert_held(robot, held, last_good)
    robot.wait_for_error("lost: ")
    robot.index += 1
    assert_finds_back(robot)


def test_after_being_lost_for_long_a_new_map_begins_at_the_held_pose_with_its_uncertainty(robot):
    last_good = robot.drive(10)[-1]
    for index in range(150, 180):
        answer = robot.answer_to(robot.send(simulated_scan(index)))
    assert pose_of(answer)[0, 3] > pose_of(last_good)[0, 3] + 2.0  # it follows again, from where it was lost
    assert deviation(answer) > 2.0  # and knows that it does not know where that is
    robot.wait_for("/diagnostics", lambda message: "restarted: lost for 2" in values_of(message)["last_error"])


def test_a_gap_of_seconds_is_told_and_survived(robot):
    robot.drive(10)
    robot.index += 20
    odometry = robot.drive(1, elapsed=21 * PERIOD)[0]
    robot.wait_for("/diagnostics", lambda message: "gap of 2.10 s" in message.status[0].message)
    assert robot.error_of(odometry) < max(FOLLOWED, 3.0 * deviation(odometry))  # right, or known to be unsure
    assert_finds_back(robot)


def test_clouds_that_cease_are_told(robot):
    robot.drive(2)
    robot.wait_for("/diagnostics", lambda message: "no cloud for" in message.status[0].message)


def test_before_the_first_believed_pose_none_is_published(robot):
    unheard = robot.send(points=sphere_points(50, 10.0))
    robot.drive(2)
    assert all(message.header.stamp != unheard.header.stamp for message in robot.heard[robot.odometry])


def test_time_jumping_back_begins_anew(robot):
    robot.drive(10)
    robot.stamp -= 500.0
    begun = robot.answer_to(robot.send(simulated_scan(40)))
    np.testing.assert_allclose(pose_of(begun), np.eye(4), atol=1e-9)
    robot.index = 41
    assert distance(pose_of(robot.drive(3)[-1]), true_pose(43, first=40)) < FOLLOWED
    robot.stamp += 500.0


def test_reset_begins_a_new_odometry_frame(robot):
    robot.drive(8)
    robot.begin()
    np.testing.assert_allclose(pose_of(robot.drive()[0]), np.eye(4), atol=1e-9)


# Input --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def driving(robot):
    """The robot on its way."""
    robot.drive(3)
    return robot


def next_message(robot):
    robot.stamp += PERIOD
    return scan_message(robot.stamp, simulated_scan(robot.index))


def spoil_data(message):
    message.data = message.data[:-7]
    return f"got {len(message.data)} bytes of data, expected {len(message.data) + 7}"


def spoil_step(message):
    message.point_step += 3
    return f"point_step {message.point_step}"


def spoil_offset(message):
    message.fields[0].offset = 1000
    return "field 'x': got its end at byte 1004"


def spoil_width(message):
    message.width = 4_000_000_000
    return "width 4000000000"


def spoil_frame(message):
    message.header.frame_id = "left_foot"
    return "got a cloud in frame 'left_foot', expected 'lidar' as before"


@pytest.mark.parametrize("spoil", [spoil_data, spoil_step, spoil_offset, spoil_width, spoil_frame])
def test_a_message_that_contradicts_itself_is_refused_and_the_drive_goes_on(driving, spoil):
    message = next_message(driving)
    told = spoil(message)
    driving.clouds.publish(message)
    driving.wait_for_error(told)
    driving.index += 1
    assert_finds_back(driving)


def test_a_cloud_without_z_is_refused_by_its_fields(driving):
    message, x = next_message(driving), np.zeros(5, np.float32)
    driving.clouds.publish(packed_message(pack_points({"x": x, "y": x}), message.header, True))
    driving.wait_for_error("expected x, y, z of one number each: ['z'] missing")
    driving.index += 1
    assert_finds_back(driving)


def test_big_endian_doubles_with_padded_rows_and_nan_points_are_taken(driving):
    message = next_message(driving)
    points = read_points(message).points
    points = points[: len(points) // 20 * 20]
    swapped = np.zeros(len(points), np.dtype([("t", ">u4"), ("x", ">f8"), ("y", ">f8"), ("z", ">f8")]))
    for axis in "xyz":
        swapped[axis] = points[axis]
    swapped["t"] = points["time"] * 1e9
    swapped["x"][::50] = np.nan
    sent = cloud_message(swapped, message.header, height=20)
    rows = np.frombuffer(sent.data, np.uint8).reshape(20, -1)
    sent.data, sent.row_step = message_bytes(np.pad(rows, ((0, 0), (0, 12)))), rows.shape[1] + 12
    driving.clouds.publish(sent)
    driving.index += 1
    assert driving.error_of(driving.answer_to(sent)) < FOLLOWED


def test_a_field_that_only_sounds_like_times_is_ignored_and_told(driving):
    message = next_message(driving)
    points = read_points(message).points
    columns = {axis: np.ascontiguousarray(points[axis]) for axis in "xyz"}
    columns["t"] = np.linspace(0.0, 1e12, len(points))
    driving.clouds.publish(packed_message(pack_points(columns), message.header, True))
    driving.index += 1
    assert driving.error_of(driving.answer_to(message)) < 0.3  # half a scan's way: it is not straightened
    driving.wait_for("/diagnostics", lambda message: "field 't': got a scan of" in values_of(message)["deskew"])


def test_an_exception_in_the_pipeline_is_told_and_the_node_begins_anew(driving, register):
    odometry = register.node._odometry
    process = odometry.process

    def fail(*arguments):
        odometry.process = process
        raise RuntimeError("out of memory")

    odometry.process = fail
    driving.send(simulated_scan(driving.index))
    driving.wait_for_error("RuntimeError: out of memory")
    np.testing.assert_allclose(pose_of(driving.drive()[0]), np.eye(4), atol=1e-9)


def test_a_disabled_node_follows_nothing_until_it_is_enabled(driving):
    assert driving.ask(SetBool, "/register/set_enabled", SetBool.Request(data=False)).success
    unheard = driving.send(simulated_scan(driving.index))
    driving.wait_for("/diagnostics", lambda message: "disabled" in message.status[0].message)
    assert driving.ask(SetBool, "/register/set_enabled", SetBool.Request(data=True)).success
    driving.index += 1
    assert_finds_back(driving)
    assert all(message.header.stamp != unheard.header.stamp for message in driving.heard[driving.odometry])


def test_live_parameters_reach_the_pipeline_and_wrong_ones_do_not(register):
    assert register.node.set_parameters([Parameter("num_points", value=512)])[0].successful
    assert register.node._odometry.config.num_points == 512
    assert not register.node.set_parameters([Parameter("num_points", value=1)])[0].successful
    assert register.node.set_parameters([Parameter("num_points", value=1024)])[0].successful
