# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of tiles without a guess."""

import numpy as np
import pytest

from kpconv_ros.geometry.se3 import invert, motion_of_twist, rotation_angle, transform_points
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.global_registration import (
    GlobalConfig,
    measure_overlap,
    pair_by_descriptor,
    register_tiles,
)
from kpconv_ros.registration.map_tile import MapTile

MOTION = motion_of_twist(np.array([300.0, -40.0, 8.0, 1.5, 0.5, -2.0]))
QUICK = GlobalConfig(iterations=10_000, runs=1)


def make_tile(seed: int, count: int = 150) -> MapTile:
    rng = np.random.default_rng(seed)
    return MapTile(
        rng.uniform([-50, -50, 0], [50, 50, 8], (count, 3)), rng.integers(-90, 90, (count, 12)).astype(np.int8)
    )


def test_a_known_motion_is_found_though_two_thirds_of_the_points_are_others() -> None:
    shared, others, target = make_tile(0, 50), make_tile(1, 100), make_tile(2, 100)
    rng = np.random.default_rng(3)
    seen = transform_points(invert(MOTION), shared.points) + rng.normal(0, 0.05, (50, 3))
    noisy = np.clip(shared.descriptors + rng.integers(-8, 9, shared.descriptors.shape), -127, 127).astype(np.int8)
    elsewhere = transform_points(invert(MOTION), others.points + [0.0, 0.0, 40.0])
    source = MapTile(np.concatenate([seen, elsewhere]), np.concatenate([noisy, others.descriptors]))
    whole = MapTile(
        np.concatenate([shared.points, target.points]), np.concatenate([shared.descriptors, target.descriptors])
    )
    found = register_tiles(source, whole, QUICK)
    apart = invert(MOTION) @ found.T_target_source
    middle = transform_points(apart, seen.mean(0)[None]) - seen.mean(0)
    assert np.linalg.norm(middle) < 0.05 and rotation_angle(apart) < 0.003
    assert found.is_believed and 0.3 < found.overlap < 0.5 and found.rmse < 0.2


def test_maps_of_different_places_are_not_believed() -> None:
    found = register_tiles(make_tile(0), make_tile(1), QUICK)
    assert not found.is_believed and found.overlap < 0.1


def test_too_few_points_are_refused() -> None:
    with pytest.raises(RegistrationError, match="target: expected at least 4 points, got 3"):
        register_tiles(make_tile(0), make_tile(1, 3), QUICK)
    with pytest.raises(RegistrationError, match="source: expected at least 4 points, got 0"):
        register_tiles(make_tile(0, 0), make_tile(1), QUICK)


def test_pairs_are_those_with_the_nearest_descriptors() -> None:
    source, target = make_tile(0, 6).descriptors, make_tile(1, 9).descriptors
    unlike = np.linalg.norm(source[:, None].astype(float) - target[None], axis=2)
    expected = [[row, column] for row in range(6) for column in np.argsort(unlike[row])[:2]]
    np.testing.assert_array_equal(pair_by_descriptor(source, target, 2), expected)
    assert len(pair_by_descriptor(source, target, 50)) == 6 * 9


def test_the_overlap_counts_points_at_the_same_place() -> None:
    points = np.array([[0.0, 0, 0], [10, 0, 0], [20, 0, 0], [30, 0, 0]])
    moved = points + [[0.3, 0, 0], [0.4, 0, 0], [5, 0, 0], [0, 0, 0]]
    overlap, rmse = measure_overlap(moved, points, np.eye(4), 0.5)
    assert overlap == 0.75 and rmse == pytest.approx(0.5 / np.sqrt(3))
    assert measure_overlap(moved + 100, points, np.eye(4), 0.5) == (0.0, 0.0)
