# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Removal of the sensor's own motion during a scan."""

import numpy as np
import pytest

from kpconv_ros.geometry.se3 import invert, motion_of_twist, transform_points
from kpconv_ros.registration.deskew import deskew
from kpconv_ros.registration.error import RegistrationError

TWIST = np.array([20.0, 1.0, -0.5, 0.2, -0.3, 2.0])


def test_points_seen_from_a_moving_sensor_come_back_to_their_place() -> None:
    rng = np.random.default_rng(0)
    world, times = rng.uniform(-50, 50, (500, 3)), rng.uniform(-0.05, 0.05, 500)
    seen = np.concatenate(
        [
            transform_points(invert(motion_of_twist(TWIST * time)), point[None])
            for time, point in zip(times, world, strict=True)
        ]
    )
    assert np.abs(seen - world).max() > 1.0
    np.testing.assert_allclose(deskew(seen.astype(np.float32), times, TWIST), world, atol=5e-4)


def test_equal_times_and_no_points_are_taken() -> None:
    points = np.ones((4, 3), np.float32)
    moved = deskew(points, np.full(4, 0.1), TWIST)
    np.testing.assert_allclose(moved, transform_points(motion_of_twist(0.1 * TWIST), points), atol=1e-5)
    assert deskew(points[:0], np.zeros(0), TWIST).shape == (0, 3)


def test_times_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RegistrationError, match=r"times: expected shape \(4,\), got \(3,\)"):
        deskew(np.ones((4, 3), np.float32), np.zeros(3), TWIST)
    with pytest.raises(RegistrationError, match="finite"):
        deskew(np.ones((2, 3), np.float32), np.array([0.0, np.nan]), TWIST)
