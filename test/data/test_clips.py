# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips of posed, labelled scans."""

from pathlib import Path

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data.clips import (
    ClipError,
    LabelledScan,
    kitti_clips,
    kitti_label_of_simulated,
    make_clip,
    simulated_clips,
)
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES
from kpconv_ros.data.simulator import SIM_CLASSES, SimulatorConfig


def scan_at(position: tuple[float, float, float], turn: float = 0.0) -> LabelledScan:
    """Return a scan of one landmark at (100, 200, 0) of the map, seen from ``position``."""
    pose = np.eye(4)
    cos, sin = np.cos(turn), np.sin(turn)
    pose[:3, :3] = [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]
    pose[:3, 3] = position
    seen = pose[:3, :3].T @ (np.array([100.0, 200, 0]) - pose[:3, 3])
    return LabelledScan(seen[None].astype(np.float32), np.array([1.5], np.float32), np.array([3], np.uint8), pose)


def test_scans_come_into_one_frame_at_the_first_sensor() -> None:
    clip = make_clip([scan_at((90, 190, 2)), scan_at((95, 195, 3), turn=1.0)], sensor_height=1.5)
    for points in clip.points:
        np.testing.assert_allclose(points, [[10, 10, -2]], atol=1e-4)
        assert points.dtype == np.float32
    np.testing.assert_allclose(clip.sensors, [[0, 0, 0], [5, 5, 1]])
    np.testing.assert_allclose(clip.ground_z, [-1.5, -0.5])
    assert [values.tolist() for values in clip.intensities] == [[1.0], [1.0]]  # clipped to 0..1
    assert [values.tolist() for values in clip.labels] == [[3], [3]]


def test_points_far_from_the_map_origin_keep_their_millimetres() -> None:
    far = scan_at((90, 190, 2))
    far.T_map_sensor[:3, 3] += 1e6
    np.testing.assert_allclose(make_clip([far], 0.0).points[0], [[10, 10, -2]], atol=1e-5)


def test_a_kitti_sequence_is_one_clip(tmp_path: Path) -> None:
    for name in ("00", "01"):
        write_sequence(tmp_path / "sequences" / name)
    clips = list(kitti_clips(tmp_path, ["01", "00"], 1.73))
    assert [len(clip.points) for clip in clips] == [3, 3]
    np.testing.assert_allclose(clips[0].sensors, [[0, 0, 0], [1, 0, 0], [2, 0, 0]], atol=1e-4)
    np.testing.assert_allclose(clips[0].ground_z, -1.73, atol=1e-4)


def test_a_sequence_without_labels_is_refused(tmp_path: Path) -> None:
    write_sequence(tmp_path / "sequences" / "00")
    for path in (tmp_path / "sequences" / "00" / "labels").iterdir():
        path.unlink()
    with pytest.raises((ClipError, ValueError), match="labels"):
        list(kitti_clips(tmp_path, ["00"], 1.73))


def test_simulated_clips_are_the_same_for_the_same_seed() -> None:
    (one,), (same,) = (list(simulated_clips(1, 2, seed, SimulatorConfig())) for seed in (5, 5))
    assert all(np.array_equal(a, b) for a, b in zip(one.points, same.points, strict=True))
    assert len(one.points) == 2 and one.sensors[0].tolist() == [0, 0, 0]
    assert not np.array_equal(one.sensors[0], one.sensors[1])


def test_simulated_labels_become_those_of_the_same_name() -> None:
    (plain,) = simulated_clips(1, 1, 5, SimulatorConfig())
    (mapped,) = simulated_clips(1, 1, 5, SimulatorConfig(), kitti_label_of_simulated())
    names = [SIM_CLASSES[label] for label in plain.labels[0]]
    assert names == [KITTI_CLASSES[label] for label in mapped.labels[0]] and len(set(names)) > 4
