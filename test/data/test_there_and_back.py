# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording without end: order, stamps and poses of both ways."""

from itertools import islice

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data.bags import ODOMETRY, BagError
from kpconv_ros.data.cdr_messages import message_of_cdr, stamp_of_cdr
from kpconv_ros.data.kitti_to_bag import EPOCH_NS, kitti_to_bag
from kpconv_ros.data.recordings import GROUND_TRUTH, ODOMETRY_KIND, POINTS, KittiRecording, open_recording
from kpconv_ros.data.semantic_kitti import KittiSequence
from kpconv_ros.data.there_and_back import ThereAndBack

PERIOD_NS = 100_000_000


@pytest.fixture
def recording(tmp_path):
    """Four scans, one metre apart."""
    write_sequence(tmp_path / "00", 4)
    return KittiRecording(KittiSequence(tmp_path / "00"))


def messages_of(recording, number, **selection):
    return list(islice(ThereAndBack(recording).messages(**selection), number))


def places(messages):
    """Positions of the odometry along x, whole metres."""
    decoded = [message_of_cdr(message.cdr, ODOMETRY) for message in messages if message.kind == ODOMETRY_KIND]
    return [round(odometry.pose.pose.position.x) for odometry in decoded]


def test_it_goes_there_and_back_again(recording):
    assert places(messages_of(recording, 28)) == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]


def test_stamps_go_on_evenly_inside_and_outside_of_the_messages(recording):
    clouds = [message for message in messages_of(recording, 40) if message.kind == POINTS]
    expected = [EPOCH_NS + index * PERIOD_NS for index in range(20)]
    assert [message.stamp_ns for message in clouds] == expected
    assert [stamp_of_cdr(message.cdr) for message in clouds] == expected


def test_the_pose_of_a_cloud_stays_before_it_and_has_its_stamp(recording):
    messages = messages_of(recording, 30)
    for pose, cloud in zip(messages[::2], messages[1::2]):
        assert (pose.kind, cloud.kind) == (ODOMETRY_KIND, POINTS)
        assert stamp_of_cdr(pose.cdr) == stamp_of_cdr(cloud.cdr)


def test_ground_truth_is_left_out(recording):
    assert GROUND_TRUTH in recording.kinds and ThereAndBack(recording).kinds == {POINTS, ODOMETRY_KIND}
    assert all(message.kind != GROUND_TRUTH for message in messages_of(recording, 30))


def test_only_what_was_chosen_is_played(recording):
    assert places(messages_of(recording, 12, start=0.1, duration=0.2)) == [1, 2, 1, 2, 1, 2]


def test_a_single_cloud_cannot_be_played_without_end(recording):
    with pytest.raises(BagError, match="got 1 clouds of different times"):
        messages_of(recording, 1, start=0.3)


def test_of_a_damaged_bag_the_beginning_is_played(recording, tmp_path):
    write_sequence(tmp_path / "big", 6, num_points=60_000)
    kitti_to_bag(KittiSequence(tmp_path / "big"), tmp_path / "bag")
    file = next((tmp_path / "bag").glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    heard = places(messages_of(open_recording(tmp_path / "bag"), 20))
    turn = max(heard)
    assert 1 <= turn < 5 and heard[: 2 * turn + 1] == [*range(turn), *range(turn, -1, -1)]


def test_points_stay_as_they_are(recording):
    there, back = messages_of(recording, 14)[1], messages_of(recording, 14)[13]
    assert np.array_equal(np.frombuffer(there.cdr[12:], np.uint8), np.frombuffer(back.cdr[12:], np.uint8))
