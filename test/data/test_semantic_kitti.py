# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI's classes and a KITTI-layout folder written by the test."""

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data.semantic_kitti import (
    KITTI_CLASSES,
    KITTI_COLORS,
    LEARNING_MAP,
    LEARNING_MAP_INVERSE,
    KittiError,
    KittiSequence,
    map_labels,
    unmap_labels,
)


def test_the_map_has_34_raw_classes_of_which_19_are_learned():
    assert len(LEARNING_MAP) == 34
    assert sorted(set(LEARNING_MAP.values())) == list(range(20))
    assert len(KITTI_CLASSES) == len(KITTI_COLORS) == len(LEARNING_MAP_INVERSE) == 20


def test_some_raw_ids_map_as_the_benchmark_says():
    raw = np.array([252, 60, 52, 99, 257, 81, 10 | 12 << 16], np.uint32)
    names = [KITTI_CLASSES[label] for label in map_labels(raw)]
    assert names == ["car", "road", "unlabeled", "unlabeled", "other-vehicle", "traffic-sign", "car"]


def test_class_indices_survive_the_way_to_raw_ids_and_back():
    labels = np.arange(20, dtype=np.uint8)
    assert (map_labels(unmap_labels(labels)) == labels).all()


def test_an_unknown_raw_id_is_named():
    with pytest.raises(KittiError, match="17"):
        map_labels(np.array([10, 17], np.uint32))


def test_colours_are_red_green_blue():
    assert KITTI_COLORS[KITTI_CLASSES.index("car")] == (100, 150, 245)
    assert KITTI_COLORS[KITTI_CLASSES.index("vegetation")] == (0, 175, 0)


def test_a_sequence_gives_scans_with_labels_poses_and_stamps(tmp_path):
    write_sequence(tmp_path / "sequences" / "00")
    sequence = KittiSequence(tmp_path, "00")
    scan = sequence.scan(2)
    assert len(sequence) == 3
    assert scan.points.shape == (5, 3) and scan.points.dtype == np.float32
    assert (scan.labels == KITTI_CLASSES.index("road")).all()
    assert scan.stamp == pytest.approx(0.2)


def test_poses_are_those_of_the_lidar_not_of_the_camera(tmp_path):
    write_sequence(tmp_path / "00")
    scan = KittiSequence(tmp_path, "00").scan(2)
    expected = np.eye(4)
    expected[0, 3] = 2.0
    np.testing.assert_allclose(scan.T_map_sensor, expected, atol=1e-9)


def test_a_folder_of_scans_alone_has_neither_labels_nor_poses_and_turns_at_10_hz(tmp_path):
    (tmp_path / "velodyne").mkdir()
    for number in (3, 4):
        np.zeros((2, 4), np.float32).tofile(tmp_path / "velodyne" / f"{number:06d}.bin")
    scan = KittiSequence(tmp_path).scan(1)
    assert scan.labels is None and scan.T_map_sensor is None
    assert scan.stamp == pytest.approx(0.4)


def test_a_scan_after_a_gap_takes_the_pose_of_its_number(tmp_path):
    write_sequence(tmp_path / "00")
    (tmp_path / "00" / "velodyne" / "000001.bin").unlink()
    assert KittiSequence(tmp_path, "00").scan(1).T_map_sensor[0, 3] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "velodyne" / "000001.bin").write_bytes(b"x" * 17), "17 bytes.*multiple of 16"),
        (lambda folder: (folder / "labels" / "000001.label").write_bytes(b"x" * 16), "16 bytes, expected 20"),
        (lambda folder: (folder / "labels" / "000001.label").unlink(), "no such file"),
        (lambda folder: (folder / "times.txt").write_text("0.0\n"), "got 1 lines, expected 3"),
        (lambda folder: (folder / "poses.txt").write_text("1 2 3\n"), "got 3 numbers a line, expected 12"),
        (lambda folder: (folder / "poses.txt").write_text("one two\n"), "expected 12 numbers"),
        (lambda folder: (folder / "calib.txt").write_text("P0: 1\n"), "'Tr:'"),
        (lambda folder: (folder / "velodyne" / "scan.bin").write_bytes(b""), "expected digits"),
    ],
)
def test_damage_is_reported_with_what_was_got_and_expected(tmp_path, damage, message):
    write_sequence(tmp_path / "00")
    damage(tmp_path / "00")
    with pytest.raises(KittiError, match=message):
        KittiSequence(tmp_path, "00").scan(1)


def test_an_absent_sequence_and_an_absent_scan_are_errors(tmp_path):
    with pytest.raises(KittiError, match="no sequence '21'"):
        KittiSequence(tmp_path, "21")
    with pytest.raises(KittiError, match=r"no \*.bin"):
        KittiSequence(tmp_path)
    write_sequence(tmp_path / "00")
    with pytest.raises(IndexError, match="scan 3, expected 0 to 2"):
        KittiSequence(tmp_path, "00").scan(3)
