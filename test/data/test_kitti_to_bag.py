# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A KITTI-layout folder as a bag."""

import argparse

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagReader
from kpconv_ros.data.cdr_messages import stamp_of_cdr
from kpconv_ros.data.kitti_to_bag import EPOCH_NS, add_arguments, run
from kpconv_ros.data.pointcloud2 import read_points
from kpconv_ros.data.recordings import GROUND_TRUTH, ODOMETRY_KIND, POINTS, open_recording
from kpconv_ros.data.semantic_kitti import KittiSequence


@pytest.fixture
def root(tmp_path):
    """A KITTI-layout folder with one sequence of three scans."""
    write_sequence(tmp_path / "sequences" / "00")
    return tmp_path


def make_bag(root, *options):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args([str(root), "00", "-o", str(root / "bag"), *options])) == 0
    return root / "bag"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_clouds_truth_and_poses_are_in_the_bag(root, storage, capsys):
    bag = make_bag(root, "--storage", storage)
    assert "3 on /lidar/points" in capsys.readouterr().out
    scan = KittiSequence(root, "00").scan(1)
    with BagReader(bag) as reader:
        assert reader.topics_of_type(POINTCLOUD2) == {"/lidar/points": 3, "/lidar/ground_truth": 3}
        assert reader.topics_of_type(ODOMETRY) == {"/odom": 3}
        messages = {message.topic: message for message in list(reader.messages())[3:6]}
        decoded = {topic: reader.decode(message) for topic, message in messages.items()}
    assert {stamp_of_cdr(message.cdr) for message in messages.values()} == {EPOCH_NS + 100_000_000}
    cloud = read_points(decoded["/lidar/points"])
    np.testing.assert_array_equal(cloud.xyz, scan.points)
    np.testing.assert_array_equal(cloud.intensity, scan.intensity)
    truth = read_points(decoded["/lidar/ground_truth"]).points
    assert truth.dtype.names == ("x", "y", "z", "label") and truth["label"].dtype == np.uint8
    np.testing.assert_array_equal(truth["label"], scan.labels)
    assert decoded["/odom"].pose.pose.position.x == pytest.approx(1.0)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3", None])
def test_a_bag_and_its_folder_are_the_same_recording(root, storage):
    bag = make_bag(root, *(["--storage", storage] if storage else []))
    from_folder, from_bag = open_recording(root, "00"), open_recording(bag)
    assert from_folder.kinds == from_bag.kinds == {POINTS, GROUND_TRUTH, ODOMETRY_KIND}
    assert list(from_folder.messages()) == list(from_bag.messages())
    part = list(from_folder.messages(start=0.1, duration=0.1))
    assert part == list(from_bag.messages(start=0.1, duration=0.1)) and len(part) == 3


def test_the_pose_comes_before_the_cloud_it_belongs_to(root):
    kinds = [message.kind for message in open_recording(make_bag(root)).messages()]
    assert kinds == 3 * [ODOMETRY_KIND, GROUND_TRUTH, POINTS]
