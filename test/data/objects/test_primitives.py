# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pieces of meshes."""

import numpy as np
import pytest

from kpconv_ros.data.objects.primitives import Triangles, box, cylinder, ellipsoid, extrude, frustum, revolve, turn


def area(mesh: Triangles) -> float:
    """Return the area of all triangles."""
    return float(np.linalg.norm(np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0]), axis=1).sum() / 2)


def test_areas_are_those_of_the_solids() -> None:
    assert area(box((1, 2, 3), (1, 2, 4))) == pytest.approx(2 * (2 + 4 + 8))
    assert area(frustum((0, 2, 0, 2), (0, 2, 0, 2), (0, 1), (False, True))) == pytest.approx(4 * 2 + 4)
    assert area(extrude([(0, 0), (3, 0), (3, 4)], (0, 2))) == pytest.approx(2 * 6 + 2 * (3 + 4 + 5))
    assert area(cylinder(1, (0, 3), sides=400)) == pytest.approx(2 * np.pi + 6 * np.pi, rel=1e-3)
    assert area(revolve([(1, 0), (0, 2)], sides=400)) == pytest.approx(np.pi * 5**0.5, rel=1e-3)
    assert area(ellipsoid((1, 1, 1), rings=60)) == pytest.approx(4 * np.pi, rel=0.03)


def test_a_box_has_its_corners_where_they_belong() -> None:
    mesh = box((1, 2, 3), (1, 2, 4)).reshape(-1, 3)
    assert mesh.min(0).tolist() == [0.5, 1, 1] and mesh.max(0).tolist() == [1.5, 3, 5]


def test_turning_is_right_handed() -> None:
    corner = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    np.testing.assert_allclose(turn(corner, 2, np.pi / 2)[0], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(turn(corner, 0, np.pi / 2)[0], [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(turn(corner, 1, np.pi / 2)[0], [[0, 0, -1], [0, 1, 0], [1, 0, 0]], atol=1e-12)
