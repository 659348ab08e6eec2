# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scans with truth and pose, joined from messages in whatever order they were recorded."""

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagMessage, BagWriter
from kpconv_ros.data.cdr_messages import cloud_to_cdr, odometry_to_cdr, restamp_cdr, stamp_of_cdr
from kpconv_ros.data.kitti_to_bag import kitti_to_bag
from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.data.recorded_scans import ScanError, ScanReader, ScanSelection
from kpconv_ros.data.recordings import open_recording
from kpconv_ros.data.semantic_kitti import KittiSequence

NUM_SCANS = 6
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequence") / "00"
    write_sequence(folder, NUM_SCANS)
    return folder


def scans_of(path, **selection):
    reader = ScanReader(open_recording(path), ScanSelection(**selection))
    return list(reader), reader


def message_of_cloud(stamp_ns, recorded_ns=None, topic="/points", **columns):
    cdr = cloud_to_cdr(pack_xyz(np.full((3, 3), 1.0, np.float32), **columns), stamp_ns, "lidar", True)
    return BagMessage(stamp_ns if recorded_ns is None else recorded_ns, topic, POINTCLOUD2, cdr)


def write(path, messages):
    with BagWriter(path) as writer:
        for message in messages:
            writer.write(message)
    return path


@pytest.mark.parametrize("kind", ["folder", "mcap", "sqlite3"])
def test_scans_have_the_points_labels_and_poses_of_the_sequence(sequence, tmp_path, kind):
    path = sequence
    if kind != "folder":
        path = tmp_path / kind
        kitti_to_bag(KittiSequence(sequence), path, kind)
    scans, reader = scans_of(path)
    assert len(scans) == NUM_SCANS and reader.problems == []
    assert reader.truth_source == ("files" if kind == "folder" else "topic")
    for index, scan in enumerate(scans):
        true = KittiSequence(sequence).scan(index)
        assert np.array_equal(scan.cloud.xyz, true.points) and np.array_equal(scan.labels, true.labels)
        assert np.allclose(scan.pose, true.T_map_sensor) and scan.pose_frame == scan.frame_id == "lidar"


def test_start_duration_and_stride_choose(sequence):
    times = [(scan.stamp_ns - scans_of(sequence)[0][0].stamp_ns) // (100 * MS) for scan in scans_of(sequence)[0]]
    assert times == [0, 1, 2, 3, 4, 5]
    chosen, _ = scans_of(sequence, start=0.1, duration=0.4, stride=3)
    assert [scan.pose[0, 3] for scan in chosen] == pytest.approx([1.0, 4.0])


def test_truth_that_comes_after_its_cloud_is_joined_by_stamp(tmp_path):
    messages = []
    for index in range(4):
        stamp = START_NS + index * 100 * MS
        messages.append(message_of_cloud(stamp))
        late = message_of_cloud(stamp, stamp + 150 * MS, "/ground_truth", label=np.full(3, index, np.uint8))
        messages.append(late)
    scans, reader = scans_of(write(tmp_path / "bag", sorted(messages, key=lambda message: message.stamp_ns)))
    assert [scan.labels.tolist() for scan in scans] == [[index] * 3 for index in range(4)]
    assert [scan.stamp_ns for scan in scans] == [START_NS + index * 100 * MS for index in range(4)]


def test_a_scan_without_its_truth_is_given_without(tmp_path):
    messages = [message_of_cloud(START_NS + index * 100 * MS) for index in range(25)]
    messages.insert(3, message_of_cloud(messages[2].stamp_ns, None, "/ground_truth", label=np.ones(3, np.uint8)))
    scans, _ = scans_of(write(tmp_path / "bag", messages))
    assert [index for index, scan in enumerate(scans) if scan.labels is not None] == [2] and len(scans) == 25


def test_poses_of_a_faster_odometry_are_interpolated(tmp_path):
    messages = [message_of_cloud(START_NS + index * 100 * MS + 7 * MS) for index in range(5)]
    for index in range(60):
        pose = np.eye(4)
        pose[0, 3] = 0.01 * index
        stamp = START_NS + index * 10 * MS
        messages.append(BagMessage(stamp, "/odom", ODOMETRY, odometry_to_cdr(pose, stamp, "odom", "base")))
    scans, _ = scans_of(write(tmp_path / "bag", sorted(messages, key=lambda message: message.stamp_ns)))
    assert [scan.pose[0, 3] for scan in scans] == pytest.approx([0.007 + 0.1 * index for index in range(5)])
    assert scans[0].pose_frame == "base"


def test_truth_of_another_number_of_points_is_left_out_and_told(tmp_path):
    cloud = message_of_cloud(START_NS)
    truth = BagMessage(
        START_NS, "/ground_truth", POINTCLOUD2, message_of_cloud(START_NS, label=np.ones(3, np.uint8)).cdr
    )
    other = cloud_to_cdr(pack_xyz(np.zeros((2, 3), np.float32)), START_NS + MS, "lidar", True)
    messages = [truth, cloud, truth._replace(cdr=restamp_cdr(truth.cdr, START_NS + MS), stamp_ns=START_NS + MS)]
    messages.append(BagMessage(START_NS + MS, "/points", POINTCLOUD2, other))
    scans, reader = scans_of(write(tmp_path / "bag", messages))
    assert scans[0].labels is not None and scans[1].labels is None
    assert reader.problems == [
        "1 messages of ground_truth were left out: got 3 true labels of a cloud of 2 points, expected one a point"
    ]


def test_labels_that_are_no_class_numbers_are_told(tmp_path):
    bag = write(tmp_path / "bag", [message_of_cloud(START_NS, label=np.full(3, 300, np.uint16))])
    with pytest.raises(ScanError, match="expected whole numbers 0 .. 255"):
        scans_of(bag)


def test_nothing_in_the_time_that_was_asked_for_is_an_error(sequence):
    with pytest.raises(ScanError, match="got no readable cloud .from 50 s on"):
        scans_of(sequence, start=50.0)


@pytest.mark.parametrize("wrong", [{"start": -1.0}, {"duration": 0.0}, {"stride": 0}, {"start": float("nan")}])
def test_a_selection_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ScanError, match="expected a start from 0"):
        ScanSelection(**wrong)


def test_another_stamp_changes_nothing_else():
    cdr = message_of_cloud(START_NS, label=np.ones(3, np.uint8)).cdr
    moved = restamp_cdr(cdr, START_NS + 5 * 10**9 + 7)
    assert stamp_of_cdr(moved) == START_NS + 5 * 10**9 + 7
    assert restamp_cdr(moved, START_NS) == cdr and moved[12:] == cdr[12:]
