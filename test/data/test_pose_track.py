# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses at times between those that were recorded."""

import numpy as np
import pytest

from kpconv_ros.data.pose_track import MAX_GAP_NS, TOLERANCE_NS, PoseTrack
from kpconv_ros.geometry.se3 import motion_of_twist, rotation_angle

SECOND = 1_000_000_000
TWIST = np.array([2.0, 0.0, 0.5, 0.0, 0.0, 1.0])


def track_at(*seconds):
    """Poses of a constant motion at some times."""
    track = PoseTrack()
    for moment in seconds:
        track.add(round(moment * SECOND), motion_of_twist(TWIST * moment))
    return track


def test_between_two_poses_the_motion_is_even():
    pose = track_at(1.0, 1.4).pose_at(round(1.1 * SECOND))
    assert np.allclose(pose, motion_of_twist(TWIST * 1.1))


@pytest.mark.parametrize("moment", [1.0, 1.4])
def test_at_a_recorded_time_it_is_the_recorded_pose(moment):
    assert np.allclose(track_at(1.0, 1.4).pose_at(round(moment * SECOND)), motion_of_twist(TWIST * moment))


def test_beside_a_single_pose_it_holds_within_the_tolerance():
    track = track_at(1.0)
    assert rotation_angle(track.pose_at(SECOND + TOLERANCE_NS)) == pytest.approx(1.0)
    assert track.pose_at(SECOND + TOLERANCE_NS + 1) is None
    assert track.pose_at(SECOND - TOLERANCE_NS - 1) is None


def test_a_gap_is_not_bridged():
    track = track_at(1.0, 1.0 + 1.01 * MAX_GAP_NS / SECOND)
    assert track.pose_at(SECOND + MAX_GAP_NS // 2) is None
    assert track.pose_at(SECOND + TOLERANCE_NS // 2) is not None


def test_an_empty_track_has_no_pose_and_covers_nothing():
    assert PoseTrack().pose_at(SECOND) is None and not PoseTrack().covers(SECOND)


def test_it_covers_what_lies_before_its_last_pose():
    assert track_at(1.0, 2.0).covers(2 * SECOND) and not track_at(1.0, 2.0).covers(2 * SECOND + 1)


def test_time_that_jumps_back_begins_anew():
    track = track_at(5.0, 5.1)
    track.add(SECOND, np.eye(4))
    assert track.pose_at(5 * SECOND) is None and np.allclose(track.pose_at(SECOND), np.eye(4))
