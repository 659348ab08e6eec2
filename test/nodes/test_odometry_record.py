# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recorder writes of an odometry is what a report reads."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
from kpconv_ros.evaluation.run_report import RecordError  # noqa: E402
from kpconv_ros.evaluation.trajectory import load_trajectory  # noqa: E402
from kpconv_ros.geometry.se3 import motion_of_twist  # noqa: E402
from kpconv_ros.nodes.odometry_record import OdometryRecord  # noqa: E402

START = motion_of_twist(np.array([7.0, -3.0, 1.0, 0.1, 0.2, 1.5]))
STEP = motion_of_twist(np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.1]))


def record_of(num_scans, skipped=()):
    """True poses that begin anywhere, and their exact odometry from the first scan on."""
    record, pose = OdometryRecord(), np.eye(4)
    for scan in range(num_scans):
        record.add_truth(scan, START @ pose, published=1_000_000 * scan)
        if scan not in skipped:
            record.add_odometry(scan, pose, np.eye(6) * 0.01, published=1_000_000 * scan + 5_000_000)
            record.add_sampled(scan, np.full((scan, 3), scan, np.float32))
        pose = pose @ STEP
    return record


def test_poses_times_and_points_come_back_in_one_frame(tmp_path):
    record = record_of(4)
    record.add_debug("total", 12.0)
    record.set_whole_scan(np.ones((7, 3)), np.ones((2, 3)))
    record.save(tmp_path / "record.npz")
    trajectory = load_trajectory(tmp_path / "record.npz")
    np.testing.assert_allclose(trajectory.truth, trajectory.estimate, atol=1e-9)
    np.testing.assert_allclose(trajectory.latency_ms, 5.0)
    np.testing.assert_allclose(trajectory.deviation, np.sqrt(0.03))
    assert [len(points) for points in trajectory.sampled] == [0, 1, 2, 3]
    assert (len(trajectory.scan), len(trajectory.scan_sampled)) == (7, 2)
    assert trajectory.debug["total"].tolist() == [12.0]
    assert [path.name for path in tmp_path.iterdir()] == ["record.npz"]


def test_scans_without_a_pose_are_told(tmp_path):
    record_of(5, skipped=(0, 3)).save(tmp_path / "record.npz")
    trajectory = load_trajectory(tmp_path / "record.npz")
    assert trajectory.is_placed.tolist() == [False, True, True, False, True]
    np.testing.assert_allclose(trajectory.errors()[trajectory.is_placed], 0.0, atol=1e-9)
    assert np.isnan(trajectory.errors()[[0, 3]]).all()


def test_a_pose_without_truth_is_not_a_scan(tmp_path):
    record = record_of(2)
    record.add_odometry(99, np.eye(4), np.eye(6), published=0)
    assert record.num_scans == 2
    record.save(tmp_path / "record.npz")
    assert len(load_trajectory(tmp_path / "record.npz").truth) == 2


def test_a_run_without_any_pose_and_a_missing_file_are_errors(tmp_path):
    record_of(3, skipped=range(3)).save(tmp_path / "record.npz")
    with pytest.raises(RecordError, match="got 3 scans of which none was given a pose"):
        load_trajectory(tmp_path / "record.npz")
    with pytest.raises(RecordError, match="expected the record of an odometry"):
        load_trajectory(tmp_path / "absent.npz")
