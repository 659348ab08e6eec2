# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two maps find each other from their bytes."""

import numpy as np
import pytest

from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.geometry.se3 import invert, motion_of_twist, rotation_angle, transform_points
from kpconv_ros.pipelines.map_registration import MapRegistrar
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.map_tile import MAX_BYTES


def half_map(simulator: Simulator, stamps: list[float]) -> tuple[np.ndarray, np.ndarray]:
    scans = [simulator.scan(stamp) for stamp in stamps]
    points = np.concatenate([transform_points(scan.T_map_sensor, scan.points) for scan in scans])
    return points, scans[-1].T_map_sensor[:3, 3]


def test_two_halves_of_a_drive_find_each_other_in_any_pose() -> None:
    simulator = Simulator(SimulatorConfig(rings=32, azimuth_steps=400, elevation_low=-0.3), 3)
    registrar, tiles = MapRegistrar(), []
    motions = [
        motion_of_twist(np.array([50.0, 9.0, -3.0, 0.3, 0.2, 2.5])),
        motion_of_twist(np.array([1.0, 80, 0, 0, 0, -1.0])),
    ]
    halves = [half_map(simulator, stamps) for stamps in ([0.0, 0.3], [0.6, 0.9])]
    for motion, (points, viewpoint) in zip(motions, halves, strict=True):
        tiles.append(registrar.encode(transform_points(motion, points), transform_points(motion, viewpoint[None])[0]))
    assert max(map(len, tiles)) <= MAX_BYTES
    result = registrar.register(source=tiles[1], target=tiles[0])
    truth = motions[0] @ invert(motions[1])
    apart = invert(truth) @ result.found.T_target_source
    place = transform_points(motions[1], halves[1][1][None])
    assert result.found.is_believed and result.total_ms > 0
    assert np.linalg.norm(transform_points(apart, place) - place) < 0.3
    assert np.degrees(rotation_angle(apart)) < 1.0


def test_bytes_that_are_no_tile_are_refused() -> None:
    with pytest.raises(RegistrationError, match="tile: expected"):
        MapRegistrar().register(b"nothing", b"nothing")
