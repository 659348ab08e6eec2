# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings with something wrong: a clear line, and a result for what can be read."""

import json

import numpy as np
import pytest

from kpconv_ros import cli
from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagMessage, BagWriter
from kpconv_ros.data.cdr_messages import cloud_to_cdr, odometry_to_cdr
from kpconv_ros.data.kitti_to_bag import kitti_to_bag
from kpconv_ros.data.pointcloud2 import pack_xyz
from kpconv_ros.data.semantic_kitti import KittiSequence

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def evaluate(model, tmp_path, capsys):
    """Evaluates the segmentation of a bag: exit status, report or None, and what was said of errors."""

    def run(path, *words):
        out = tmp_path / "out"
        status = cli.main(
            ["evaluate", str(path), "--parts", "segmentation", "--model", str(model), "--out", str(out), *words]
        )
        file = out / "report.json"
        return status, json.loads(file.read_text()) if file.exists() else None, capsys.readouterr().err

    return run


def cloud(index, topic="/points", frame="lidar", **columns):
    """A cloud of a flat street with a wall."""
    points = np.random.default_rng(index).uniform((-8, -4, -1.8), (8, 4, -1.7), (400, 3)).astype(np.float32)
    points[::3, 1] = 4.0
    stamp_ns = START_NS + index * 100_000_000
    cdr = cloud_to_cdr(pack_xyz(points, **columns), stamp_ns, frame, is_dense=True)
    return BagMessage(stamp_ns, topic, POINTCLOUD2, cdr)


def odometry(index, child):
    stamp_ns = START_NS + index * 100_000_000 - 30_000_000
    return BagMessage(stamp_ns, "/odom", ODOMETRY, odometry_to_cdr(np.eye(4), stamp_ns, "odom", child))


def write_bag(path, messages):
    with BagWriter(path) as writer:
        for message in messages:
            writer.write(message)
    return path


def test_a_truncated_bag_gives_a_result_for_what_lies_before_the_cut(street, evaluate, tmp_path):
    kitti_to_bag(KittiSequence(street), tmp_path / "bag")
    file = next((tmp_path / "bag").glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    status, report, _ = evaluate(tmp_path / "bag")
    assert status == 1
    assert 1 <= report["recording"]["scans"] < 8 and report["segmentation"]["miou"] is not None
    assert len(report["problems"]) == 1 and "only the scans before that were read" in report["problems"][0]


def test_an_empty_bag_is_told(evaluate, tmp_path):
    status, report, said = evaluate(write_bag(tmp_path / "bag", []))
    assert (status, report) == (2, None)
    assert "got no readable rosbag2" in said or "got an empty bag" in said


def test_a_bag_without_clouds_is_told(evaluate, tmp_path):
    status, report, said = evaluate(write_bag(tmp_path / "bag", [odometry(0, "lidar")]))
    assert (status, report) == (2, None) and f"got no topic of {POINTCLOUD2}" in said


def test_a_file_of_unknown_kind_is_told(evaluate, tmp_path):
    (tmp_path / "notes.txt").write_text("no bag")
    status, report, said = evaluate(tmp_path / "notes.txt")
    assert (status, report) == (2, None) and "got no readable rosbag2 or ROS 1 bag" in said
    status, _, said = evaluate(tmp_path / "absent")
    assert status == 2 and "no such recording" in said


def test_two_lidars_on_two_topics_have_to_be_chosen_from(evaluate, tmp_path):
    messages = [cloud(index, topic) for index in range(3) for topic in ("/front", "/rear")]
    bag = write_bag(tmp_path / "bag", messages)
    status, report, said = evaluate(bag)
    assert (status, report) == (2, None) and "got 2 topics" in said and "/front, /rear" in said
    status, report, _ = evaluate(bag, "--points-topic", "/rear")
    assert status == 0 and report["recording"]["scans"] == 3


def test_of_two_lidars_on_one_topic_the_first_is_evaluated(evaluate, tmp_path):
    frames = ("left", "right", "left", "right", "left")
    status, report, _ = evaluate(
        write_bag(tmp_path / "bag", [cloud(index, frame=name) for index, name in enumerate(frames)])
    )
    assert status == 1 and report["recording"]["scans"] == 3
    assert report["problems"] == [
        "got clouds of two lidars on one topic: 2 in frame 'right' were left out, expected all in 'left'"
    ]


def test_a_cloud_that_contradicts_itself_is_left_out(evaluate, tmp_path):
    broken = cloud(1)
    broken = broken._replace(cdr=broken.cdr[:-400])
    status, report, _ = evaluate(write_bag(tmp_path / "bag", [cloud(0), broken, cloud(2)]))
    assert status == 1 and report["recording"]["scans"] == 2
    assert report["problems"][0].startswith("1 messages of points were left out")


def test_labels_of_the_clouds_own_field_are_the_truth(evaluate, tmp_path):
    labels = (np.arange(400) % 3).astype(np.uint8)
    status, report, _ = evaluate(write_bag(tmp_path / "bag", [cloud(index, label=labels) for index in range(3)]))
    assert status == 0 and report["recording"]["truth_source"] == "field"
    assert sum(map(sum, report["segmentation"]["confusion"])) == 1200
    assert sum(map(sum, report["segmentation"]["confusion"][1:])) == 3 * int((labels > 0).sum())


def test_without_truth_there_is_no_score(evaluate, tmp_path):
    status, report, _ = evaluate(write_bag(tmp_path / "bag", [cloud(index) for index in range(3)]))
    assert status == 0 and report["recording"]["truth_source"] == "none"
    assert report["segmentation"]["miou"] is None and report["segmentation"]["confusion"] is None
    assert report["segmentation"]["labelled_share"] > 0.9


def test_poses_of_another_frame_need_an_extrinsic(evaluate, tmp_path):
    messages = [message for index in range(4) for message in (odometry(index, "base_link"), cloud(index))]
    bag = write_bag(tmp_path / "bag", [*messages, odometry(4, "base_link")])
    status, report, said = evaluate(bag)
    assert (status, report) == (2, None)
    assert "got clouds in frame 'lidar' and an odometry of 'base_link'" in said and "--extrinsic" in said
    status, report, _ = evaluate(bag, "--extrinsic", "0", "0", "1.7", "0", "0", "0")
    assert status == 0 and report["scans"]["segmentation"]["answered"] == 4  # between poses 70 and 30 ms away
