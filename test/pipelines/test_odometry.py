# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry on simulated drives with exact poses, and where it must not believe itself."""

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rooms import sample_room

from kpconv_ros.data.semantic_kitti import read_calibration
from kpconv_ros.data.simulator import SimulatedScan, Simulator, SimulatorConfig
from kpconv_ros.geometry.se3 import invert, rotation_angle, transform_points
from kpconv_ros.pipelines.odometry import Odometry
from kpconv_ros.pipelines.odometry_result import OdometryConfig, OdometryResult, OdometryStatus
from kpconv_ros.registration.error import RegistrationError

CONFIG = OdometryConfig()
STATUS = OdometryStatus


@cache
def drive(count: int, seed: int = 1, distorted: bool = False, speed: float = 5.0) -> list[SimulatedScan]:
    config = SimulatorConfig(rings=24, azimuth_steps=400, motion_distortion=distorted, ego_speed=speed)
    simulator = Simulator(config, seed)
    return [simulator.scan(0.1 * i) for i in range(count)]


def follow(odometry: Odometry, scans: list[SimulatedScan], with_times: bool = False) -> list[OdometryResult]:
    return [odometry.process(scan.points, scan.stamp, scan.time if with_times else None) for scan in scans]


def error(result: OdometryResult, scan: SimulatedScan, first: SimulatedScan) -> tuple[float, float]:
    """Distance [m] and angle [rad] of a pose from the exact one."""
    apart = invert(invert(first.T_map_sensor) @ scan.T_map_sensor) @ result.T_odom_sensor
    return float(np.linalg.norm(apart[:3, 3])), rotation_angle(apart)


@pytest.mark.parametrize("sampler", ["random", "samplenet", "anchors", "voxel", "planar_voxel"])
def test_a_drive_is_followed(sampler: str) -> None:
    scans = drive(7)
    results = follow(Odometry(replace(CONFIG, sampler=sampler)), scans)
    assert results[0].status is STATUS.STARTED and np.array_equal(results[0].T_odom_sensor, np.eye(4))
    for result, scan in zip(results[1:], scans[1:], strict=True):
        distance, angle = error(result, scan, scans[0])
        assert distance < 0.08 and angle < 0.006
        assert result.status is STATUS.TRACKING and result.is_believed and result.reason == ""
        assert len(result.sampled) <= 1024 and result.fitness > 0.7 and result.conditioning > 0.1
        np.testing.assert_allclose(result.twist[:3], [5, 0, 0], atol=0.8)
    assert set(results[-1].timings_ms) == {"prepare", "register", "map", "total"}


def test_nothing_slips_along_a_street_that_looks_alike() -> None:
    simulator = Simulator(SimulatorConfig(motion_distortion=True), 3)
    scans = [simulator.scan(0.1 * index) for index in range(54, 68)]
    for seed in range(3):
        last = follow(Odometry(replace(CONFIG, seed=seed)), scans, with_times=True)[-1]
        assert error(last, scans[-1], scans[0])[0] < 0.2


def test_fast_motion_is_found_from_the_second_scan_on() -> None:
    scans = drive(4, speed=25.0)
    results = follow(Odometry(CONFIG), scans)
    assert max(error(result, scan, scans[0])[0] for result, scan in zip(results, scans, strict=True)) < 0.15


def test_times_remove_the_motion_within_a_scan() -> None:
    scans = drive(12, distorted=True, speed=15.0)
    straight = follow(Odometry(CONFIG), scans, with_times=True)
    bent = follow(Odometry(CONFIG), scans)
    assert max(error(result, scan, scans[0])[0] for result, scan in zip(straight, scans, strict=True)) < 0.12
    speeds = np.array([result.twist[0] for result in straight[1:]])
    assert np.abs(speeds[-5:] - 15.0).max() < 0.8  # and they do not swing up
    assert np.mean([result.fitness for result in straight[2:]]) > np.mean([result.fitness for result in bent[2:]])


def test_the_same_drive_gives_the_same_poses() -> None:
    first, again = (follow(Odometry(CONFIG), drive(4)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.T_odom_sensor, other.T_odom_sensor)
        np.testing.assert_array_equal(one.sampled, other.sampled)


def test_rows_that_are_not_finite_change_nothing_but_the_numbers_of_the_others() -> None:
    scans = drive(3)
    clean = follow(Odometry(CONFIG), scans)
    odometry = Odometry(CONFIG)
    for scan, expected in zip(scans, clean, strict=True):
        spoilt = np.insert(scan.points, [0, 50], np.nan, axis=0)
        result = odometry.process(spoilt, scan.stamp)
        np.testing.assert_array_equal(result.T_odom_sensor, expected.T_odom_sensor)
        np.testing.assert_array_equal(spoilt[result.sampled], scan.points[expected.sampled])


def covered() -> np.ndarray:
    return np.full((5000, 3), 0.1, np.float32)


@pytest.mark.parametrize(
    ("points", "reason"),
    [(covered(), "0 points in range"), (drive(4)[3].points[::150], "points in range"), (np.zeros((0, 3)), "0 points")],
    ids=["covered", "fifty points", "empty"],
)
def test_a_scan_that_shows_nothing_holds_the_pose_until_the_next_good_one(points: np.ndarray, reason: str) -> None:
    scans, odometry = drive(7), Odometry(CONFIG)
    good = follow(odometry, scans[:3])[-1]
    first, second = (odometry.process(points, stamp) for stamp in (0.3, 0.4))
    for held in (first, second):
        assert held.status is STATUS.LOST and not held.is_believed and reason in held.reason
        np.testing.assert_array_equal(held.T_odom_sensor, good.T_odom_sensor)
        np.testing.assert_array_equal(held.twist, np.zeros(6))
    deviations = [np.sqrt(np.diag(result.covariance)) for result in (good, first, second)]
    assert (deviations[0] < deviations[1]).all() and (deviations[1] < deviations[2]).all()
    assert deviations[1][0] > 0.5  # as far as it went at its speed
    back = odometry.process(scans[5].points, 0.5)
    assert back.status is STATUS.TRACKING and error(back, scans[5], scans[0])[0] < 0.1
    assert np.sqrt(np.diag(back.covariance)).max() < 0.05


def test_another_place_is_not_believed_and_the_way_back_is_found() -> None:
    scans, elsewhere, odometry = drive(7), drive(4, seed=5), Odometry(CONFIG)
    good = follow(odometry, scans[:3])[-1]
    jumped = odometry.process(elsewhere[3].points, 0.3)
    assert jumped.status is STATUS.LOST and "lie on the map" in jumped.reason
    np.testing.assert_array_equal(jumped.T_odom_sensor, good.T_odom_sensor)
    back = odometry.process(scans[4].points, 0.4)
    assert back.status is STATUS.TRACKING and error(back, scans[4], scans[0])[0] < 0.1


def test_after_a_while_elsewhere_a_new_map_begins_with_the_uncertainty_of_the_jump() -> None:
    scans, elsewhere, odometry = drive(3), drive(8, seed=5), Odometry(replace(CONFIG, restart_after=0.25))
    good = follow(odometry, scans)[-1]
    results = [odometry.process(scan.points, 0.3 + 0.1 * i) for i, scan in enumerate(elsewhere)]
    assert [result.status for result in results[:3]] == [STATUS.LOST, STATUS.LOST, STATUS.RESTARTED]
    restarted, last = results[2], results[-1]
    np.testing.assert_array_equal(restarted.T_odom_sensor, good.T_odom_sensor)
    assert "lost for 0.3 s" in restarted.reason and not restarted.is_believed
    assert last.status is STATUS.TRACKING
    moved = invert(restarted.T_odom_sensor) @ last.T_odom_sensor
    truth = invert(elsewhere[2].T_map_sensor) @ elsewhere[-1].T_map_sensor
    assert np.linalg.norm((invert(truth) @ moved)[:3, 3]) < 0.1
    assert (np.diag(last.covariance) >= np.diag(restarted.covariance)).all()


def test_a_gap_of_seconds_is_told_and_the_pose_is_right_or_not_believed() -> None:
    simulator = Simulator(SimulatorConfig(rings=24, azimuth_steps=400), 1)
    scans, odometry = drive(4), Odometry(CONFIG)
    follow(odometry, scans)
    later = simulator.scan(1.8)
    result = odometry.process(later.points, later.stamp)
    assert "gap of 1.50 s" in result.reason
    assert not result.is_believed or error(result, later, scans[0])[0] < 0.15
    standing = Odometry(CONFIG)
    follow(standing, scans)
    result = standing.process(scans[3].points, 1.8)  # it stopped meanwhile
    assert result.status is STATUS.TRACKING and error(result, scans[3], scans[0])[0] < 0.1


def test_a_step_back_in_time_starts_anew() -> None:
    scans, odometry = drive(4), Odometry(CONFIG)
    follow(odometry, scans)
    result = odometry.process(scans[1].points, 0.1)
    assert result.was_reset and result.status is STATUS.STARTED
    np.testing.assert_array_equal(result.T_odom_sensor, np.eye(4))
    after = odometry.process(scans[2].points, 0.2)
    assert not after.was_reset and error(after, scans[2], scans[1])[0] < 0.08


def test_the_same_stamp_twice_is_no_reset() -> None:
    scans, odometry = drive(3), Odometry(CONFIG)
    follow(odometry, scans)
    result = odometry.process(scans[2].points, scans[2].stamp)
    assert result.status is STATUS.TRACKING and np.isfinite(result.twist).all()
    assert error(result, scans[2], scans[0])[0] < 0.08


def test_a_map_starts_with_the_first_scan_that_has_enough_points() -> None:
    scans, odometry = drive(4), Odometry(CONFIG)
    assert odometry.process(np.zeros((0, 3)), 0.0).status is STATUS.LOST
    assert odometry.process(np.full((900, 3), 5.0), 0.05).status is STATUS.LOST  # one voxel
    assert odometry.process(scans[1].points, 0.1).status is STATUS.STARTED
    assert odometry.process(scans[2].points, 0.2).status is STATUS.TRACKING


def test_a_corridor_is_followed_by_the_prediction_along_it() -> None:
    odometry, velocity = Odometry(replace(CONFIG, min_information=0.03)), 2.0
    room, corridor = sample_room(20_000, 0, 0.01), sample_room(60_000, 1, 0.01, corridor=True)
    results = []
    for i in range(3):  # in a room that shows all motions
        moved = room.copy()
        moved[:, 0] -= 0.1 * velocity * i
        results.append(odometry.process(moved, 0.1 * i))
    assert results[-1].status is STATUS.TRACKING
    odometry._map.clear()
    odometry._map.insert(corridor, np.eye(4), 200)
    seen = corridor[(np.abs(corridor[:, 0]) < 15)].copy()
    seen[:, 0] -= 0.1 * velocity * 3
    result = odometry.process(seen, 0.3)
    assert result.status is STATUS.DEGENERATE and result.is_believed and "conditioning" in result.reason
    np.testing.assert_allclose(result.T_odom_sensor[:3, 3], [0.6, 0, 0], atol=0.03)
    deviations = np.sqrt(np.diag(result.covariance))
    assert deviations[0] > 20 * deviations[1]


def test_faster_than_allowed_is_not_believed() -> None:
    scans, odometry = drive(3), Odometry(replace(CONFIG, max_speed=2.0))
    result = follow(odometry, scans)[-1]
    assert result.status is STATUS.LOST and "a jump at" in result.reason


def test_a_sampler_may_be_given_and_settings_change_while_it_runs() -> None:
    class EveryTenth:
        def sample(self, points: np.ndarray, num_points: int, context: object = None) -> np.ndarray:
            return np.arange(0, len(points), 10)[:num_points]

    scans, odometry = drive(4), Odometry(CONFIG, EveryTenth())
    results = follow(odometry, scans[:3])
    np.testing.assert_array_equal(np.diff(results[-1].sampled)[:20] >= 10, True)
    odometry.configure(replace(CONFIG, num_points=333))
    assert len(odometry.process(scans[3].points, 0.3).sampled) == 333


def test_wrong_arguments_are_refused() -> None:
    odometry = Odometry(CONFIG)
    with pytest.raises(RegistrationError, match=r"\(N, 3\), got \(5, 4\)"):
        odometry.process(np.zeros((5, 4)), 0.0)
    with pytest.raises(RegistrationError, match=r"times: expected shape \(5,\), got \(4,\)"):
        odometry.process(np.zeros((5, 3)), 0.0, np.zeros(4))
    near = np.full((5, 3), 3.0)
    for wrong in (np.nan, 1e8):  # not a number; nanoseconds
        with pytest.raises(RegistrationError, match=r"times: expected within 10.0 s"):
            odometry.process(near, 0.0, np.array([0, 0, 0, 0, wrong]))
    with pytest.raises(RegistrationError, match="stamp: expected finite seconds, got nan"):
        odometry.process(np.zeros((5, 3)), float("nan"))
    assert not odometry.process(near, -1.0).was_reset  # what was refused left no time behind
    with pytest.raises(RegistrationError, match="got 'best'"):
        Odometry(replace(CONFIG, sampler="best"))


def test_poses_turn_with_a_sensor_that_is_mounted_turned() -> None:
    scans, odometry = drive(4), Odometry(CONFIG)
    mount = np.eye(4)
    mount[:2, :2] = [[np.cos(2.5), -np.sin(2.5)], [np.sin(2.5), np.cos(2.5)]]
    turned = [odometry.process(transform_points(invert(mount), scan.points), scan.stamp) for scan in scans]
    moved = mount @ turned[-1].T_odom_sensor @ invert(mount)
    truth = invert(scans[0].T_map_sensor) @ scans[-1].T_map_sensor
    assert np.linalg.norm((invert(truth) @ moved)[:3, 3]) < 0.08


@pytest.mark.data
def test_real_scans_are_followed(data_dir: Path) -> None:
    unpacker = data_dir / "unpack.py"
    spec = importlib.util.spec_from_file_location("unpack", unpacker)
    if not unpacker.exists() or spec is None or spec.loader is None:
        pytest.skip(f"needs real scans: no {unpacker}")
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    mini = data_dir / "semantickitti_mini"
    scans = [unpack.read_skmm(mini / f"05_{number:06d}.skmm")[0] for number in range(5)]
    T_camera_lidar = read_calibration(mini / "meta" / "05" / "calib.txt")
    T_map_camera = np.tile(np.eye(4), (5, 1, 1))
    T_map_camera[:, :3] = np.loadtxt(mini / "meta" / "05" / "poses.txt", max_rows=5).reshape(-1, 3, 4)
    truth = invert(T_camera_lidar) @ T_map_camera @ T_camera_lidar
    odometry = Odometry(CONFIG)
    for number, points in enumerate(scans):
        result = odometry.process(points, 0.1 * number)
        apart = invert(invert(truth[0]) @ truth[number]) @ result.T_odom_sensor
        assert np.linalg.norm(apart[:3, 3]) < 0.08 and rotation_angle(apart) < 0.005
        assert result.is_believed and len(result.sampled) <= 1024
    assert np.linalg.norm(result.T_odom_sensor[:3, 3]) > 1.5
