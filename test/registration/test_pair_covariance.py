# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The covariance of a motion from pairs: against many motions found from pairs with drawn errors."""

import numpy as np

from kpconv_ros.geometry.se3 import motion_of_twist
from kpconv_ros.registration.pair_covariance import measure_pair_covariance

T_TARGET_SOURCE = motion_of_twist(np.array([3.0, -1.0, 0.5, 0.3, -0.2, 1.1]))
DEVIATION = 0.05  # m, along each axis


def align(source, target):
    """The motion with the least squares: Kabsch's, by singular values."""
    centres = source.mean(0), target.mean(0)
    left, _, right = np.linalg.svd((target - centres[1]).T @ (source - centres[0]))
    motion = np.eye(4)
    motion[:3, :3] = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    motion[:3, 3] = centres[1] - motion[:3, :3] @ centres[0]
    return motion


def rotation_vector(rotation):
    """Of a small rotation."""
    return 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )


def test_it_is_that_of_motions_found_from_drawn_errors():
    random = np.random.default_rng(0)
    source = random.uniform(-20.0, 20.0, (60, 3)) * (1.0, 0.3, 0.1)
    exact = source @ T_TARGET_SOURCE[:3, :3].T + T_TARGET_SOURCE[:3, 3]
    found, covariances = [], []
    for _ in range(1500):
        target = exact + random.normal(0.0, DEVIATION, exact.shape)
        motion = align(source, target)
        turned = rotation_vector(motion[:3, :3] @ T_TARGET_SOURCE[:3, :3].T)
        found.append(np.concatenate([motion[:3, 3] - T_TARGET_SOURCE[:3, 3], turned]))
        if len(covariances) < 50:
            measured = measure_pair_covariance(source, target, motion, 1.0)
            assert measured.num_pairs == len(source)
            covariances.append(measured.covariance)
    expected, told = np.cov(np.array(found).T), np.mean(covariances, axis=0)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(told / scale, expected / scale, atol=0.15)


def test_points_without_a_partner_do_not_count():
    source = np.random.default_rng(1).uniform(-10.0, 10.0, (40, 3))
    target = source[:25] @ T_TARGET_SOURCE[:3, :3].T + T_TARGET_SOURCE[:3, 3]
    assert measure_pair_covariance(source, target, T_TARGET_SOURCE, 0.1).num_pairs == 25


def test_too_few_pairs_tell_nothing():
    measured = measure_pair_covariance(np.zeros((2, 3)), np.zeros((2, 3)), np.eye(4), 0.1)
    assert measured.num_pairs == 2 and np.isinf(np.diag(measured.covariance)).all()
