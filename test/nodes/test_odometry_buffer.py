# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses at a time, from odometry."""

import threading

import numpy as np
import pytest

pytest.importorskip("rclpy")
from kpconv_ros.nodes.odometry_buffer import OdometryBuffer  # noqa: E402
from kpconv_ros.nodes.pose_msg import PoseError, matrix_of_xyz_rpy  # noqa: E402

pytestmark = pytest.mark.ros


def pose(x):
    return matrix_of_xyz_rpy((x, 0.0, 0.0), (0.0, 0.0, 0.0))


@pytest.fixture
def buffer():
    buffer = OdometryBuffer(tolerance=0.05, max_gap=0.5)
    for stamp in (10.0, 10.1, 10.2, 12.0):
        buffer.add(stamp, pose(stamp))
    return buffer


@pytest.mark.parametrize("stamp", [10.0, 10.03, 10.1, 10.15, 12.0])
def test_a_time_between_two_messages_is_interpolated(buffer, stamp):
    np.testing.assert_allclose(buffer.pose_at(stamp, 0.0), pose(stamp), atol=1e-9)


def test_a_time_just_outside_takes_the_nearest(buffer):
    np.testing.assert_allclose(buffer.pose_at(12.04, 0.0), pose(12.0))
    np.testing.assert_allclose(buffer.pose_at(9.96, 0.0), pose(10.0))
    np.testing.assert_allclose(buffer.pose_at(10.24, 0.0), pose(10.2))


@pytest.mark.parametrize("stamp", [9.0, 11.0, 13.0])
def test_a_time_without_odometry_is_refused(buffer, stamp):
    with pytest.raises(PoseError, match=r"within 0.05 s of .*got 10.000 to 12.000"):
        buffer.pose_at(stamp, 0.0)


def test_an_empty_buffer_says_so():
    with pytest.raises(PoseError, match="no odometry came"):
        OdometryBuffer(0.05, 0.5).pose_at(1.0, 0.0)


def test_a_scan_waits_for_its_odometry():
    buffer, found = OdometryBuffer(0.05, 0.5), []
    waiter = threading.Thread(target=lambda: found.append(buffer.pose_at(5.0, 10.0)))
    waiter.start()
    buffer.add(4.9, pose(4.9))
    buffer.add(5.1, pose(5.1))
    waiter.join(10.0)
    np.testing.assert_allclose(found[0], pose(5.0))


def test_a_stamp_going_back_starts_anew(buffer):
    buffer.add(3.0, pose(3.0))
    assert len(buffer) == 1 and buffer.num_resets == 1
    np.testing.assert_allclose(buffer.pose_at(3.0, 0.0), pose(3.0))


def test_the_origin_after_a_gap_starts_anew_and_one_that_is_driven_to_does_not(buffer):
    buffer.add(12.4, np.eye(4))  # back at the origin, without a gap
    buffer.add(13.2, np.eye(4))  # still there
    assert len(buffer) == 6 and buffer.num_resets == 0
    buffer.add(13.3, pose(1.0))
    buffer.add(13.9, np.eye(4))
    assert len(buffer) == 1 and buffer.num_resets == 1
    with pytest.raises(PoseError, match="no odometry within"):
        buffer.pose_at(13.3, 0.0)


@pytest.mark.parametrize(
    ("stamp", "number", "resets"),
    [(12.4, 1, 0), (13.0, 41, 0), (13.0, None, 0), (13.0, 40, 1), (13.0, 2, 1)],
)
def test_a_publisher_that_counts_from_the_beginning_after_a_gap_starts_anew(buffer, stamp, number, resets):
    buffer.add(12.1, pose(12.1), 40)  # those before are not numbered, which tells nothing
    buffer.add(stamp, pose(0.3), number)
    assert buffer.num_resets == resets and len(buffer) == (1 if resets else 6)


def test_old_poses_are_forgotten():
    buffer = OdometryBuffer(0.05, 0.5, keep=1.0)
    for stamp in np.arange(0.0, 10.0, 0.1):
        buffer.add(float(stamp), pose(stamp))
    assert len(buffer) <= 12


def test_the_same_stamp_twice_does_not_divide_by_zero():
    buffer = OdometryBuffer(0.05, 0.5)
    for x in (1.0, 2.0):
        buffer.add(7.0, pose(x))
    assert np.isfinite(buffer.pose_at(7.0, 0.0)).all()
