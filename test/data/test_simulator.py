# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator as a whole: what its scans promise, whatever the street."""

import numpy as np
import pytest

from kpconv_ros.data.simulation.classes import BUILDING, CAR, PERSON, ROAD
from kpconv_ros.data.simulator import SIM_CLASSES, SIM_COLORS, Simulator, SimulatorConfig

SMALL = SimulatorConfig(rings=16, azimuth_steps=180)
EMPTY = SimulatorConfig(
    rings=16, azimuth_steps=180, parked_cars=0.0, vehicles=0.0, people=0.0, range_noise=0.0, dropouts=0.0
)


def to_map(scan):
    return scan.points @ scan.T_map_sensor[:3, :3].T + scan.T_map_sensor[:3, 3]


def test_equal_config_seed_and_stamp_give_equal_scans_in_any_order():
    first, second = Simulator(SMALL, 3), Simulator(SMALL, 3)
    first.scan(0.0)
    second.scan(50.0)
    for one, other in zip(first.scan(12.3), second.scan(12.3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_street():
    assert len(Simulator(SMALL, 1).scan(1.0).points) != len(Simulator(SMALL, 2).scan(1.0).points)


@pytest.mark.parametrize("seed", range(4))
def test_columns_belong_together_and_are_in_range(seed):
    scan = Simulator(SMALL, seed).scan(4.2)
    num_points = len(scan.points)
    assert num_points > 1000
    assert [len(column) for column in (scan.intensity, scan.ring, scan.time, scan.labels)] == [num_points] * 4
    assert [column.dtype for column in scan[:5]] == [np.float32, np.float32, np.uint16, np.float32, np.uint8]
    assert np.isfinite(scan.points).all()
    assert np.linalg.norm(scan.points, axis=1).max() < SMALL.max_range + 0.2
    assert scan.intensity.min() >= 0.0 and scan.intensity.max() <= 1.0
    assert scan.ring.max() < SMALL.rings
    assert scan.time.min() >= 0.0 and scan.time.max() < 1.0 / SMALL.rate
    assert scan.stamp == 4.2


def test_names_and_colors_match_and_no_point_is_unlabeled():
    assert len(SIM_CLASSES) == len(SIM_COLORS) and SIM_CLASSES[0] == "unlabeled"
    labels = Simulator(SMALL, 0).scan(0.0).labels
    assert labels.min() >= 1 and labels.max() < len(SIM_CLASSES)


def test_every_class_appears_within_a_few_streets():
    counts = np.zeros(len(SIM_CLASSES))
    for seed in range(4):
        for stamp in (0.0, 15.0, 30.0):
            counts += np.bincount(Simulator(SMALL, seed).scan(stamp).labels, minlength=len(SIM_CLASSES))
    assert (counts[1:] / counts.sum() > 0.005).all(), dict(zip(SIM_CLASSES, counts, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_the_sensor_stays_at_its_height_over_the_road(seed):
    simulator = Simulator(EMPTY, seed)
    for stamp in np.arange(0.0, 60.0, 7.0):
        scan = simulator.scan(float(stamp))
        near_road = (scan.labels == ROAD) & (np.hypot(*scan.points[:, :2].T) < 6.0)
        assert near_road.any()
        np.testing.assert_allclose(scan.points[near_road, 2], -EMPTY.sensor_height, atol=0.35)


@pytest.mark.parametrize("stamp", [0.0, 33.3])
def test_poses_are_rigid_and_advance_with_the_speed(stamp):
    simulator = Simulator(SMALL, 5)
    before, after = simulator.scan(stamp).T_map_sensor, simulator.scan(stamp + 1.0).T_map_sensor
    np.testing.assert_allclose(before[:3, :3] @ before[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(before) == pytest.approx(1.0)
    assert after[0, 3] - before[0, 3] == pytest.approx(SMALL.ego_speed)


def test_still_things_stay_where_they_are_on_the_map():
    simulator = Simulator(EMPTY, 2)
    before, after = simulator.scan(10.0), simulator.scan(10.4)
    walls = to_map(before)[before.labels == BUILDING], to_map(after)[after.labels == BUILDING]
    near = np.linalg.norm(walls[0][:, None, :] - walls[1][None, :, :], axis=-1).min(axis=1)
    assert np.median(near) < 0.7


def test_without_vehicles_and_people_there_are_none_that_move():
    simulator = Simulator(EMPTY, 1)
    first, second = simulator._traffic.at(0.0, 0.0, simulator._street.around(0.0)[1]), simulator.scan(0.0)
    assert len(first) == 0
    assert (second.labels != CAR).mean() > 0.9


def test_a_moving_car_moves_while_the_sensor_stands():
    still = SimulatorConfig(rings=16, azimuth_steps=180, ego_speed=0.0, parked_cars=0.0, people=0.0, vehicles=2.0)
    simulator = Simulator(still, 4)
    before, after = simulator.scan(0.0), simulator.scan(1.0)
    np.testing.assert_array_equal(before.T_map_sensor, after.T_map_sensor)
    cars = [scan.points[(scan.labels == CAR) & (scan.points[:, 1] > 0)] for scan in (before, after)]
    near = np.linalg.norm(cars[0][:, None, :] - cars[1][None, :, :], axis=-1).min(axis=1)
    assert np.mean(near > 0.5) > 0.2


def test_people_walk_upright_on_the_ground():
    scan = Simulator(SimulatorConfig(people=2.0), 0).scan(5.0)
    people = scan.points[(scan.labels == PERSON) & (np.linalg.norm(scan.points, axis=1) < 15.0)]
    assert len(people) > 20
    assert people[:, 2].min() > -2.7 and people[:, 2].max() < 1.2


def test_noise_and_dropouts_do_what_they_say():
    clean = Simulator(EMPTY, 0).scan(3.0)
    half = Simulator(SimulatorConfig(**{**EMPTY.__dict__, "dropouts": 0.5}), 0).scan(3.0)
    assert len(half.points) == pytest.approx(0.5 * len(clean.points), rel=0.1)


def test_motion_distortion_bends_the_cloud_by_less_than_the_way_driven():
    bent = Simulator(SimulatorConfig(**{**EMPTY.__dict__, "motion_distortion": True}), 0).scan(3.0)
    straight = Simulator(EMPTY, 0).scan(3.0)
    early = bent.time < 0.01
    assert not np.array_equal(bent.points, straight.points)
    num_early = min(early.sum(), 50)
    np.testing.assert_allclose(bent.points[:num_early], straight.points[:num_early], atol=0.8)


def test_a_standing_sensor_may_start_at_any_time():
    assert len(Simulator(SimulatorConfig(rings=4, azimuth_steps=64, ego_speed=0.0), 0).scan(1e5).points) > 50


@pytest.mark.parametrize(
    ("config", "seed", "message"),
    [
        (SimulatorConfig(elevation_low=0.2, elevation_high=0.1), 0, "elevation_high above"),
        (SMALL, -1, "expected 0 or more"),
    ],
)
def test_a_bad_config_is_refused_with_what_was_got(config, seed, message):
    with pytest.raises(ValueError, match=message):
        Simulator(config, seed)
