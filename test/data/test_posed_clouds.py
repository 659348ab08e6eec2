# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds for the voting test: static ones, and scans amid those before them."""

from pathlib import Path

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data.datasets import find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.posed_clouds import KITTI_SPLITS, kitti_clouds, kitti_names, static_clouds
from kpconv_ros.data.semantic_kitti import KittiError, read_velodyne


def write_view(root: Path, stamp: str, points: np.ndarray) -> None:
    (root / "val").mkdir(exist_ok=True)
    ids = np.arange(len(points), dtype=np.uint8) % 10
    np.savez(root / f"val/{stamp}.npz", xyz=points, intensity=np.full(len(points), 51, np.uint8), label=ids)


def test_each_scan_stands_with_those_before_it_in_one_frame(tmp_path: Path) -> None:
    write_sequence(tmp_path / "sequences" / "03", num_scans=4)
    clouds = list(kitti_clouds(tmp_path, ["03"], past_frames=2, sensor_height=1.5))
    assert [cloud.name for cloud in clouds] == kitti_names(tmp_path, ["03"])
    assert [len(cloud.views) for cloud in clouds] == [1, 2, 3, 3]
    for last, cloud in enumerate(clouds):
        assert cloud.labels is not None and cloud.labels.tolist() == [9] * 5 and cloud.ground_z == pytest.approx(-1.5)
        for scan, view in enumerate(cloud.views, last + 1 - len(cloud.views)):
            raw, remission = read_velodyne(tmp_path / f"sequences/03/velodyne/{scan:06d}.bin")
            np.testing.assert_allclose(view.points, raw + [scan, 0, 0], atol=1e-6)  # the lidar moves 1 m a scan
            np.testing.assert_allclose(view.sensor, [scan, 0, 0], atol=1e-9)
            np.testing.assert_array_equal(view.intensity, remission)


def test_sequences_do_not_mix(tmp_path: Path) -> None:
    for name in ("03", "04"):
        write_sequence(tmp_path / "sequences" / name, num_scans=2)
    clouds = list(kitti_clouds(tmp_path, ["03", "04"], past_frames=5))
    assert [(cloud.name, len(cloud.views)) for cloud in clouds] == [
        *(("03/000000", 1), ("03/000001", 2)),
        *(("04/000000", 1), ("04/000001", 2)),
    ]


def test_without_poses_scans_can_only_stand_alone(tmp_path: Path) -> None:
    write_sequence(tmp_path / "sequences" / "03")
    (tmp_path / "sequences/03/poses.txt").unlink()
    with pytest.raises(KittiError, match="expected poses.txt to join 1 past scans"):
        next(kitti_clouds(tmp_path, ["03"], past_frames=1))
    assert [len(cloud.views) for cloud in kitti_clouds(tmp_path, ["03"], past_frames=0)] == [1, 1, 1]


def test_the_splits_are_the_official_ones() -> None:
    assert sorted(sum(map(list, KITTI_SPLITS.values()), [])) == [f"{number:02d}" for number in range(22)]
    assert KITTI_SPLITS["val"] == ("08",) and KITTI_SPLITS["test"][0] == "11"


def test_a_static_cloud_is_one_view_with_the_ground_below(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform((-5, -5, -2), (5, 5, 8), (5000, 3)).astype(np.float32)
    write_view(tmp_path, "1", points)
    dataset = find_dataset("ika")
    (cloud,) = static_clouds(dataset, tmp_path, dataset.names(tmp_path, "val"))
    assert cloud.name == "val/1" and len(cloud.views) == 1
    np.testing.assert_array_equal(cloud.views[0].points, points)
    np.testing.assert_array_equal(cloud.labels, dataset.read(tmp_path, "val/1").labels)
    assert cloud.ground_z == pytest.approx(-1.5, abs=0.1)  # the lowest twentieth of 10 m
    assert not cloud.views[0].sensor.any()


def test_a_cloud_without_points_is_named(tmp_path: Path) -> None:
    write_view(tmp_path, "1", np.zeros((0, 3), np.float32))
    with pytest.raises(DatasetError, match="val/1: got no points"):
        list(static_clouds(find_dataset("ika"), tmp_path, ["val/1"]))
