# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ATE, RPE and drift of trajectories whose errors are known, and the files that other tools read."""

import numpy as np
import pytest

from kpconv_ros.evaluation.trajectory_metrics import ate, kitti_drift, rpe, write_kitti, write_tum
from kpconv_ros.geometry.se3 import motion_of_twist

pytest.importorskip("evo")


def drive(num_poses, step=1.0, turn=0.02, climb=0.005):
    """Poses of a robot that goes ``step`` metres a scan and turns and climbs a little, ``(S, 4, 4)``."""
    poses = [np.eye(4)]
    for _ in range(num_poses - 1):
        poses.append(poses[-1] @ motion_of_twist(np.array([step, 0, 0, 0, climb, turn])))
    return np.array(poses)


def stretched(poses, factor):
    """The same with all positions scaled."""
    longer = poses.copy()
    longer[:, :3, 3] *= factor
    return longer


def test_an_estimate_in_another_frame_has_no_error():
    reference = drive(30)
    moved = motion_of_twist(np.array([3.0, -2.0, 1.0, 0.1, 0.2, 2.0])) @ reference
    errors = ate(reference, moved)
    assert errors["max"] < 1e-9 and errors["alignment"] == "rigid"
    assert rpe(reference, moved, "translation_part")["max"] < 1e-9
    assert rpe(reference, moved, "rotation_angle_deg")["max"] < 1e-4


def test_ate_is_that_of_an_alignment_written_another_way():
    random = np.random.default_rng(1)
    reference = drive(40)
    estimate = reference.copy()
    estimate[:, :3, 3] += random.normal(0, 0.1, (40, 3))
    p, q = estimate[:, :3, 3], reference[:, :3, 3]
    u, _, vt = np.linalg.svd((p - p.mean(0)).T @ (q - q.mean(0)))  # Kabsch's algorithm
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    apart = np.linalg.norm((p - p.mean(0)) @ (u @ flip @ vt) - (q - q.mean(0)), axis=1)
    errors = ate(reference, estimate)
    assert errors["rmse"] == pytest.approx(np.sqrt((apart**2).mean()))
    assert errors["median"] == pytest.approx(np.median(apart))


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_a_straight_way_and_a_standing_robot_are_aligned_at_the_first_pose(step):
    reference = drive(10, step, turn=0.0, climb=0.0)
    estimate = stretched(reference, 1.1)
    errors = ate(reference, estimate)
    assert errors["alignment"] == "origin" and errors["max"] == pytest.approx(0.9 * step)


def test_rpe_is_the_error_of_a_step():
    reference, estimate = drive(20, turn=0.02), drive(20, turn=0.03)
    degrees = rpe(reference, estimate, "rotation_angle_deg")
    assert degrees["rmse"] == pytest.approx(np.degrees(np.hypot(0.03, 0.005) - np.hypot(0.02, 0.005)), rel=0.1)
    straight = drive(20, 1.0, 0.0, 0.0)
    assert rpe(straight, stretched(straight, 1.01), "translation_part")["mean"] == pytest.approx(0.01)


def test_drift_of_a_stretched_long_way_is_the_stretch():
    reference = drive(400, turn=0.0, climb=0.0)
    drift = kitti_drift(reference, stretched(reference, 1.02))
    assert drift["translation_percent"] == pytest.approx(2.0, rel=1e-2)
    assert drift["lengths_m"] == [100.0, 200.0, 300.0]
    assert drift["rotation_deg_per_m"] == pytest.approx(0.0, abs=1e-6)


def test_drift_of_a_turn_is_degrees_a_metre():
    drift = kitti_drift(drive(30, turn=0.0, climb=0.0), drive(30, turn=0.001, climb=0.0))
    assert drift["rotation_deg_per_m"] == pytest.approx(np.degrees(0.001), rel=1e-3)
    assert drift["lengths_m"] == [1.0, 2.0, 5.0, 10.0, 20.0]


def test_segments_are_those_of_a_loop():
    reference, estimate = drive(25, step=0.7), stretched(drive(25, step=0.7), 1.05)
    way = [0.0]
    for a, b in zip(reference, reference[1:]):
        way.append(way[-1] + float(np.linalg.norm(b[:3, 3] - a[:3, 3])))
    errors = []
    for length in (1, 2, 5, 10, 20, 50):
        for begin in range(25):
            end = next((row for row in range(25) if way[row] >= way[begin] + length), None)
            if end is not None:
                true = np.linalg.inv(reference[begin]) @ reference[end]
                moved = np.linalg.inv(estimate[begin]) @ estimate[end]
                errors.append(np.linalg.norm((np.linalg.inv(moved) @ true)[:3, 3]) / length)
    drift = kitti_drift(reference, estimate)
    assert drift["segments"] == len(errors)
    assert drift["translation_percent"] == pytest.approx(100 * np.mean(errors))


def test_a_way_shorter_than_any_segment_has_no_drift():
    assert kitti_drift(drive(5, step=0.1), drive(5, step=0.1)) is None


def test_files_are_read_back_by_evo(tmp_path):
    from evo.tools import file_interface

    poses, stamps = drive(12), 1_700_000_000_000_000_000 + 100_000_000 * np.arange(12)
    tum = file_interface.read_tum_trajectory_file(str(write_tum(tmp_path / "a.tum", stamps, poses)))
    assert np.allclose(tum.poses_se3, poses, atol=1e-7)
    assert np.allclose(tum.timestamps, stamps * 1e-9, atol=1e-6)
    kitti = file_interface.read_kitti_poses_file(str(write_kitti(tmp_path / "a.kitti", poses)))
    assert np.allclose(kitti.poses_se3, poses, atol=1e-8)
