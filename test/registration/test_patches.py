# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Voxels and columns of a scan."""

import numpy as np
import pytest

from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.patches import cut_columns, describe_voxels, ground_height, pad_columns
from kpconv_ros.registration.surface import estimate_surface


def street(num_points: int = 30_000, seed: int = 0) -> np.ndarray:
    """Return a flat ground 1.7 m below the sensor and a wall along x, 8 m to the left."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(-20, 20, (num_points, 2)), np.full(num_points, -1.7)])
    wall = np.column_stack(
        [rng.uniform(-20, 20, num_points), np.full(num_points, 8.0), rng.uniform(-1.7, 4, num_points)]
    )
    return np.concatenate([ground, wall]).astype(np.float32)


def test_a_voxel_is_an_original_point_and_each_occupied_voxel_has_one() -> None:
    points = street()
    voxels = describe_voxels(points, estimate_surface(points), 0.5, min_range=0.0)
    np.testing.assert_array_equal(points[voxels.rows], voxels.points)
    low = np.floor(points.min(0) / 0.5) - 1
    cells = np.floor(points / 0.5 - low).astype(int)
    assert len(voxels.rows) == len(np.unique(cells, axis=0)) == len(np.unique(cells[voxels.rows], axis=0))


def test_what_carries_the_sensor_is_left_out() -> None:
    points = street()
    voxels = describe_voxels(points, estimate_surface(points), 0.5, min_range=3.0)
    assert len(voxels.rows) and np.linalg.norm(voxels.points, axis=1).min() >= 3.0


def test_features_tell_ground_from_wall() -> None:
    points = street()
    voxels = describe_voxels(points, estimate_surface(points), 0.25)
    away_from_corner = np.abs(voxels.points[:, 1] - 8.0) > 2.0
    ground = away_from_corner & (voxels.points[:, 2] < -1.6)
    wall = voxels.points[:, 2] > 0.5
    names = ("variation", "planarity", "upright", "height", "range", "incidence")
    of = dict(zip(names, voxels.features.T))
    assert of["upright"][ground].min() > 0.99 and of["upright"][wall].max() < 0.1
    assert np.abs(of["height"][ground]).max() < 0.01 and of["height"][wall].min() > 0.7  # (0.5 + 1.7) / 3
    ranges = np.linalg.norm(voxels.points, axis=1)
    np.testing.assert_allclose(of["range"], np.log(ranges / 10.0), atol=1e-6)
    np.testing.assert_allclose(of["incidence"][ground], 1.7 / ranges[ground], atol=0.01)
    assert of["variation"][ground].max() == pytest.approx(-2.0, abs=0.1)


def test_columns_are_known_by_the_grid_and_not_by_what_stands_in_them() -> None:
    points = street()
    few, many = (cut_columns(points[::step], 10.0, 20.0, -1.7) for step in (200, 1))
    centers = {tuple(center) for center in many.centers}
    assert len(many.centers) == 16 and {tuple(center) for center in few.centers} <= centers
    np.testing.assert_array_equal(np.unique(many.centers[:, 0]), [-15, -5, 5, 15])
    assert (many.centers[:, 2] == np.float32(-1.7)).all()
    counts = np.diff(many.starts)
    local = points[many.rows] - np.repeat(many.centers, counts, axis=0)
    assert np.abs(local[:, :2]).max() <= 5.0


def test_empty_columns_are_left_out() -> None:
    columns = cut_columns(np.array([[12.0, -3.0, 0.0]], np.float32), 10.0, 20.0, 0.0)
    np.testing.assert_array_equal(columns.centers, [[15.0, -5.0, 0.0]])
    assert not len(cut_columns(np.empty((0, 3), np.float32), 10.0, 20.0, 0.0).centers)


def test_padding_takes_rows_evenly_and_repeats_those_of_small_columns() -> None:
    points = np.zeros((7, 3), np.float32)
    points[:6] += [5.0, 5.0, 0.0]
    points[6] += [-5.0, -5.0, 0.0]
    padded = pad_columns(cut_columns(points, 10.0, 10.0, 0.0), 3)
    np.testing.assert_array_equal(padded, [[6, 6, 6], [0, 2, 4]])


def test_a_square_that_is_no_whole_number_of_columns_is_refused() -> None:
    with pytest.raises(RegistrationError, match="reach"):
        cut_columns(street(), 10.0, 17.0, 0.0)


def test_the_ground_is_found_below_what_stands_on_it() -> None:
    assert ground_height(street()) == pytest.approx(-1.7)
    assert ground_height(np.empty((0, 3), np.float32)) == 0.0
