# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the sensor is on the robot. TF is stood in for where tf2_ros is not installed."""

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from stand_in_tf import T_PARENT_CHILD, stand_in_for_tf2  # noqa: E402

from kpconv_ros.config_io import ConfigError  # noqa: E402
from kpconv_ros.nodes.mounting import Mounting, MountingConfig  # noqa: E402
from kpconv_ros.nodes.pose_msg import PoseError, matrix_of_xyz_rpy  # noqa: E402

pytestmark = pytest.mark.ros
GIVEN = {"extrinsic_xyz": (1.0, 0.0, 2.0), "extrinsic_rpy": (0.0, 0.0, 0.1)}


@pytest.fixture
def node(context):
    node = rclpy.create_node("mounting", context=context)
    yield node
    node.destroy_node()


def find(node, frame, **config):
    mounting = Mounting(node, MountingConfig(tf_timeout=0.0, **config))
    try:
        return mounting.find(frame)
    finally:
        mounting.close()


def test_without_a_base_frame_the_sensor_is_the_base(node):
    mounted = find(node, "lidar")
    assert mounted.base_frame == "lidar"
    np.testing.assert_array_equal(mounted.T_base_sensor, np.eye(4))
    np.testing.assert_array_equal(find(node, "base_link", base_frame="base_link").T_base_sensor, np.eye(4))


def test_the_extrinsic_of_the_parameters_is_for_the_frame_that_it_names(node):
    expected = matrix_of_xyz_rpy(GIVEN["extrinsic_xyz"], GIVEN["extrinsic_rpy"])
    for sensor_frame in ("lidar", ""):
        mounted = find(node, "lidar", base_frame="base_link", sensor_frame=sensor_frame, **GIVEN)
        np.testing.assert_allclose(mounted.T_base_sensor, expected)
    with pytest.raises(PoseError, match="got a cloud in frame 'other', expected 'lidar'"):
        find(node, "other", base_frame="base_link", sensor_frame="lidar", **GIVEN)


def test_an_extrinsic_without_a_base_frame_is_refused():
    with pytest.raises(ConfigError, match="base_frame: got nothing"):
        MountingConfig(**GIVEN)


def test_a_sensor_that_nothing_leads_to_is_an_error_that_says_what_to_set(node, monkeypatch):
    monkeypatch.setattr("kpconv_ros.nodes.mounting.has_tf", lambda: False)
    with pytest.raises(PoseError, match=r"'lidar', expected 'base_link': tf2_ros is not installed; set sensor_frame"):
        find(node, "lidar", base_frame="base_link")


def test_tf_tells_where_the_sensor_is(node, monkeypatch):
    stand_in_for_tf2(monkeypatch, parent="base_link", child="lidar")
    mounted = find(node, "lidar", base_frame="base_link")
    np.testing.assert_allclose(mounted.T_base_sensor, T_PARENT_CHILD, atol=1e-12)
    with pytest.raises(PoseError, match="TF from 'left_foot' to 'base_link': left_foot does not exist"):
        find(node, "left_foot", base_frame="base_link")
