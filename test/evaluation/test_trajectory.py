# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drift, steps and latency of a made-up odometry, and its picture."""

import json

import numpy as np
import pytest

from kpconv_ros.evaluation.score_odometry import register_arguments, run
from kpconv_ros.evaluation.trajectory import Trajectory, format_trajectory_report, report_trajectory
from kpconv_ros.evaluation.trajectory_picture import draw_trajectory


def poses_at(xs):
    poses = np.tile(np.eye(4), (len(xs), 1, 1))
    poses[:, 0, 3] = xs
    return poses


@pytest.fixture
def trajectory():
    """Eleven scans over 10 m; the estimate is 2 % too long, and the fourth scan has none."""
    true, deviation = np.arange(11.0), np.full(11, 0.02)
    estimate = poses_at(1.02 * true)
    estimate[3], deviation[3] = np.nan, np.nan
    latency = np.where(np.isfinite(deviation), np.arange(11.0), np.nan)
    points = [np.random.default_rng(scan).uniform(-20, 20, (50, 3)).astype(np.float32) for scan in range(11)]
    return Trajectory(
        estimate, poses_at(true), deviation, latency, points, {"total": np.array([3.0, 5.0])}, points[0], points[0]
    )


def test_the_report_tells_what_was_made_up(trajectory):
    report = report_trajectory(trajectory)
    assert (report["scans"], report["placed"], report["way_m"]) == (11, 10, 10.0)
    assert report["final_error_m"] == pytest.approx(0.2) and report["drift_percent"] == pytest.approx(2.0)
    assert report["step_error_m"]["p50"] == pytest.approx(0.02)
    assert report["step_error_deg"]["p99"] == pytest.approx(0.0, abs=1e-6)
    assert report["latency_ms"]["p50"] == pytest.approx(np.median(np.delete(np.arange(11.0), 3)))
    assert report["points_registered"] == 50 and report["debug_ms"]["total"]["p50"] == 4.0
    json.dumps(report)


def test_the_table_has_the_drift_in_it(trajectory):
    text = format_trajectory_report(report_trajectory(trajectory), "made up")
    assert "0.200 (2.00 % of the way)" in text and "11, given a pose 10" in text


def test_a_sensor_that_stood_still_has_no_drift_in_percent(trajectory):
    still = poses_at(np.zeros(11))
    report = report_trajectory(
        Trajectory(still, still, np.full(11, 0.1), np.ones(11), trajectory.sampled, {}, *trajectory.sampled[:2])
    )
    assert report["drift_percent"] is None
    assert "(- of the way)" in format_trajectory_report(report, "still")


def test_the_points_are_drawn_where_the_estimate_puts_them(trajectory):
    points = trajectory.sampled_in_frame()
    assert len(points) == 10 * 50
    np.testing.assert_allclose(points[-50:], trajectory.sampled[10] + [10.2, 0.0, 0.0], atol=1e-5)


def test_a_picture_is_written(trajectory, tmp_path):
    path = draw_trajectory(trajectory, tmp_path / "new" / "trajectory.png", "made up")
    data = path.read_bytes()
    assert data[:4] == b"\x89PNG" and len(data) > 20_000


def test_a_recording_that_is_absent_is_named(tmp_path):
    from argparse import Namespace

    args = Namespace(bag=tmp_path / "absent", sequence="", simulate=None, rate=0.0, param=[], out=tmp_path, seed=0)
    with pytest.raises(FileNotFoundError, match="absent"):
        run(args)


def test_parameters_of_the_user_reach_the_node():
    assert register_arguments(["num_points:=512"])[-2:] == ("-p", "num_points:=512")
