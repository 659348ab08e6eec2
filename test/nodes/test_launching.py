# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files share, as far as it needs no `launch`."""

import pytest

pytest.importorskip("rclpy")
from kpconv_ros.nodes.launching import (  # noqa: E402
    as_bool,
    extrinsic_parameters,
    replay_parameters,
    viewer,
    viewer_remappings,
)

pytestmark = pytest.mark.ros


def test_an_extrinsic_is_six_numbers_or_nothing():
    expected = {"extrinsic_xyz": [1.0, 0.0, 2.0], "extrinsic_rpy": [0.0, 0.1, -0.2]}
    assert extrinsic_parameters("1 0 2 0 0.1 -0.2") == expected
    assert extrinsic_parameters("") == {}
    with pytest.raises(ValueError, match="got '1 2', expected 'x y z roll pitch yaw'"):
        extrinsic_parameters("1 2")


def test_truth_is_read_in_either_spelling_and_nothing_else():
    assert [as_bool(text) for text in ("true", "True", "1", "false", "0")] == [True, True, True, False, False]
    with pytest.raises(ValueError, match="got 'yes', expected true or false"):
        as_bool("yes")


def test_a_replay_publishes_the_clock_where_others_listen_to_it():
    value = {"bag": "b", "bag_sequence": "00", "bag_rate": "2.0", "use_sim_time": "true"}
    assert replay_parameters(value) == {"path": "b", "sequence": "00", "rate": 2.0, "clock": True}


def test_the_live_view_is_remapped_by_short_names_where_its_topics_differ():
    topics = {"points": "/top/points", "odometry": "odom", "labels": "/other/labels"}
    assert viewer_remappings(topics) == [("lidar/points", "/top/points"), ("segment/output/labels", "/other/labels")]
    with pytest.raises(KeyError, match="clouds"):
        viewer_remappings({"clouds": "/points"})
    assert viewer({"viewer": "false"}, points="/points") == []
