# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the pose of a scan comes from. TF is stood in for where tf2_ros is not installed."""

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from stand_in_tf import T_PARENT_CHILD, stand_in_for_tf2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kpconv_ros.config_io import ConfigError  # noqa: E402
from kpconv_ros.nodes.pose_msg import (  # noqa: E402
    PoseError,
    matrix_of_xyz_rpy,
    odometry_message,
    stamp_of,
)
from kpconv_ros.nodes.poses import OdometryPoses, PoseConfig, PoseFinder  # noqa: E402

pytestmark = pytest.mark.ros
T_ODOM_BASE = T_PARENT_CHILD


@pytest.fixture
def node(context):
    node = rclpy.create_node("poses", context=context)
    yield node
    node.destroy_node()


def header(frame_id, stamp=10.0):
    return Header(stamp=stamp_of(stamp), frame_id=frame_id)


def hear(poses, stamp=10.0, child="base_link"):
    poses._on_odometry(odometry_message(T_ODOM_BASE, stamp_of(stamp), "odom", child), {})


def test_a_cloud_in_the_child_frame_takes_the_odometry_as_it_is(node):
    poses = OdometryPoses(node, PoseConfig(pose_timeout=0.0))
    hear(poses, child="lidar")
    pose = poses.find(header("lidar"))
    np.testing.assert_allclose(pose.T_map_sensor, T_ODOM_BASE, atol=1e-12)
    assert (pose.map_frame, pose.source) == ("odom", "odometry")


def test_the_extrinsic_leads_from_the_child_frame_to_the_sensor(node):
    config = PoseConfig(
        pose_timeout=0.0, sensor_frame="lidar", extrinsic_xyz=(1.0, 0.0, 2.0), extrinsic_rpy=(0.0, 0.0, 0.1)
    )
    poses = OdometryPoses(node, config)
    hear(poses)
    expected = T_ODOM_BASE @ matrix_of_xyz_rpy((1.0, 0.0, 2.0), (0.0, 0.0, 0.1))
    np.testing.assert_allclose(poses.find(header("lidar")).T_map_sensor, expected, atol=1e-12)
    with pytest.raises(PoseError, match=r"frame 'other'.*'base_link'.*'lidar'"):
        poses.find(header("other"))


def test_another_frame_without_extrinsic_is_refused_with_what_to_set(node):
    poses = OdometryPoses(node, PoseConfig(pose_timeout=0.0))
    hear(poses)
    with pytest.raises(PoseError, match=r"'velodyne'.*'base_link'.*set sensor_frame"):
        poses.find(header("velodyne"))


def test_a_frame_is_refused_without_waiting_as_soon_as_the_odometry_tells_its_own(node):
    finder = PoseFinder(node, PoseConfig(pose_source="odometry", pose_timeout=10.0))
    finder.check_frame("velodyne")  # nothing is known yet
    hear(finder._sources[0])
    with pytest.raises(PoseError, match=r"'velodyne'.*'base_link'"):
        finder.check_frame("velodyne")
    finder.check_frame("base_link")
    PoseFinder(node, PoseConfig(pose_source="none")).check_frame("velodyne")


def test_poses_tell_when_the_odometry_began_anew(node):
    poses = OdometryPoses(node, PoseConfig(pose_timeout=0.0))
    hear(poses, child="lidar")
    before = poses.find(header("lidar"))
    hear(poses, stamp=9.0, child="lidar")
    assert poses.find(header("lidar", 9.0)).beginning == before.beginning + 1


def test_odometry_that_is_no_pose_is_not_taken(node):
    poses = OdometryPoses(node, PoseConfig(pose_timeout=0.0))
    message = odometry_message(T_ODOM_BASE, stamp_of(10.0), "odom", "lidar")
    message.pose.pose.orientation.w = 7.0
    poses._on_odometry(message, {})
    assert not poses.is_there()


def test_auto_stands_alone_until_a_pose_is_found_and_then_insists(node):
    finder = PoseFinder(node, PoseConfig(pose_timeout=0.0))
    odometry = finder._sources[-1]
    alone = finder.find(header("lidar"))
    assert alone.T_map_sensor is None and alone.map_frame == "lidar" and finder.source == "none"
    hear(odometry, child="lidar")
    assert finder.find(header("lidar")).source == "odometry"
    with pytest.raises(PoseError, match="no odometry within"):
        finder.find(header("lidar", stamp=20.0))


def test_none_never_asks(node):
    finder = PoseFinder(node, PoseConfig(pose_source="none"))
    assert finder.find(header("anything")).T_map_sensor is None


def test_an_unknown_source_is_refused():
    with pytest.raises(ConfigError, match="got 'gps'"):
        PoseConfig(pose_source="gps")


@pytest.fixture
def tf2_ros(monkeypatch):
    stand_in_for_tf2(monkeypatch, parent="odom", child="lidar")


def test_tf_gives_the_pose_in_the_map_frame(node, tf2_ros):
    finder = PoseFinder(node, PoseConfig(pose_timeout=0.0))
    pose = finder.find(header("lidar"))
    np.testing.assert_allclose(pose.T_map_sensor, T_ODOM_BASE, atol=1e-12)
    assert (pose.source, pose.map_frame) == ("tf", "odom")
    finder.close()


def test_tf_that_fails_is_an_error_with_its_reason(node, tf2_ros):
    finder = PoseFinder(node, PoseConfig(pose_source="tf", pose_timeout=0.01))
    with pytest.raises(PoseError, match="TF from 'left_foot' to 'odom': left_foot does not exist"):
        finder.find(header("left_foot"))
    with pytest.raises(PoseError, match="'lidar'"):
        finder.find(header("lidar", stamp=11.0))


def test_auto_falls_back_from_tf_to_odometry(node, tf2_ros):
    finder = PoseFinder(node, PoseConfig(pose_timeout=0.0))
    hear(finder._sources[1], child="velodyne")
    assert finder.find(header("velodyne")).source == "odometry"
