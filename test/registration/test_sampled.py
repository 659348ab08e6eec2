# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of two samples with carried normals."""

import numpy as np
import pytest

pytest.importorskip("open3d", reason="needs Open3D")

from scipy.spatial.transform import Rotation

from kpconv_ros.config_io import ConfigError
from kpconv_ros.geometry.se3 import invert, transform_points
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.sampled import SampledConfig, register_samples


def room(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points on floor and two walls, away from where they meet, and their normals."""
    rng = np.random.default_rng(seed)
    axis, points = rng.integers(0, 3, count), rng.uniform(3, 10, (count, 3))
    points[np.arange(count), axis] = 0.0
    return points, np.eye(3)[axis]


def motion() -> np.ndarray:
    """Return 2 degrees and 0.3 m."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(np.radians([0.5, -0.5, 1.9])).as_matrix()
    pose[:3, 3] = 0.2, -0.2, 0.1
    return pose


def test_samples_without_a_point_in_common_are_registered_by_their_planes() -> None:
    (source, _), (target, normals), truth = room(150, 0), room(150, 1), motion()
    found = register_samples(transform_points(invert(truth), source), target, normals, np.eye(4))
    np.testing.assert_allclose(found, truth, atol=1e-3)


def test_target_points_without_a_normal_take_no_part() -> None:
    (source, _), (target, normals), truth = room(150, 0), room(150, 1), motion()
    far_off = np.random.default_rng(2).uniform(0, 10, (200, 3))
    both, known = np.concatenate([far_off, target]), np.concatenate([np.zeros((200, 3)), normals])
    found = register_samples(transform_points(invert(truth), source), both, known, np.eye(4))
    np.testing.assert_allclose(found, truth, atol=1e-3)


def test_too_few_points_are_refused() -> None:
    target, normals = room(50, 1)
    with pytest.raises(RegistrationError, match="source: expected at least 10"):
        register_samples(target[:9], target, normals, np.eye(4))
    with pytest.raises(RegistrationError, match="target: expected at least 10"):
        register_samples(target, target, 0 * normals, np.eye(4))


def test_each_stage_has_both_settings() -> None:
    with pytest.raises(ConfigError, match="as many"):
        SampledConfig(distances=(2.0,), robust_scales=(1.0, 0.5))
