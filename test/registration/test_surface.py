# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes around the points of a scan."""

import numpy as np
import pytest
from rooms import sample_room

from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.surface import check_points, estimate_surface, hash_points
from reference import surface as slow


def test_planes_are_those_of_numpy() -> None:
    points = sample_room(1500, 0, 0.02)
    found, (normals, variation, planarity) = estimate_surface(points, 1.5), slow.estimate_surface(points, 1.5)
    np.testing.assert_allclose(found.variation, variation, atol=1e-5)
    np.testing.assert_allclose(found.planarity, planarity, atol=1e-4)
    is_clear = planarity > 0.05  # elsewhere the least eigenvalue is nearly double
    assert is_clear.mean() > 0.9
    np.testing.assert_allclose(np.abs((found.normals * normals).sum(1))[is_clear], 1.0, atol=1e-3)


def test_normals_of_a_room_point_inwards_along_the_axes() -> None:
    points = sample_room(40_000, 1)
    found = estimate_surface(points)
    floor = (points[:, 2] == -1.5) & (np.abs(points[:, 1]) < 4) & (np.abs(points[:, 0]) < 3)
    np.testing.assert_allclose(found.normals[floor], np.tile([0, 0, 1.0], (int(floor.sum()), 1)), atol=1e-3)
    assert floor.sum() > 100 and found.variation[floor].max() < 1e-6


def test_a_line_has_no_variation_but_no_planarity_either() -> None:
    points = np.zeros((100, 3), np.float32)
    points[:, 0] = np.linspace(5, 6, 100)
    found = estimate_surface(points)
    assert found.variation.max() < 1e-6 and found.planarity.max() < 1e-6


def test_a_lonely_point_has_no_plane() -> None:
    found = estimate_surface(np.array([[1.0, 2.0, 3.0]], np.float32))
    np.testing.assert_array_equal(found.normals, np.zeros((1, 3)))
    assert found.variation[0] == pytest.approx(1 / 3) and found.planarity[0] == 0


def test_equal_points_and_no_points_are_taken() -> None:
    assert estimate_surface(np.ones((30, 3), np.float32)).variation[0] == pytest.approx(1 / 3)
    assert estimate_surface(np.zeros((0, 3), np.float32)).normals.shape == (0, 3)


def test_a_wrong_shape_or_a_nan_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"\(N, 3\), got \(4, 2\)"):
        check_points(np.zeros((4, 2)))
    with pytest.raises(RegistrationError, match="finite"):
        estimate_surface(np.array([[np.nan, 0, 0]], np.float32))
    with pytest.raises(RegistrationError, match="finite"):
        check_points(np.array([[0, -np.inf, 0]]))
    assert check_points(np.array([[1e30, 0, 0]])).shape == (1, 3)  # far, but finite


def test_a_cloud_too_wide_for_its_cells_is_refused() -> None:
    with pytest.raises(RegistrationError, match="cells of 1e-06 m"):
        hash_points(np.array([[0, 0, 0], [10, 0, 0]], np.float32), 1e-6)
    with pytest.raises(RegistrationError, match="above 0 m, got 0"):
        hash_points(np.zeros((1, 3), np.float32), 0.0)
