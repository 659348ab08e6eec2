# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How sure a motion is that was found from pairs of points."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.geometry.se3 import transform_points

Array = NDArray[Any]
_LEAST_DEVIATION = 0.01  # metres a coordinate; no two maps are nearer alike


class PairCovariance(NamedTuple):
    """What the pairs of two registered clouds tell of the motion between them."""

    covariance: Array
    """``(6, 6)``: translation [m^2], then rotation [rad^2], about the axes of the target frame, the rotation about the
    source frame's origin."""
    num_pairs: int
    """Source points that have a target point at the same place."""


def measure_pair_covariance(source: Array, target: Array, T_target_source: Array, distance: float) -> PairCovariance:  # noqa: N803
    """Linearise the distances of the pairs ``R p + t - q`` and invert the normal equations.

    Their errors count as independent and alike along all axes, so the covariance is a lower bound.

    Args:
        source: ``(n, 3)``, metres, source frame.
        target: ``(m, 3)``, metres, target frame.
        T_target_source: The motion, ``(4, 4)``.
        distance: Points this near are the same, metres.

    Returns:
        The covariance; infinite with fewer than three pairs.
    """
    distances, _ = cKDTree(target).query(transform_points(T_target_source, source))
    near = distances < distance
    turned = source[near] @ T_target_source[:3, :3].T
    if len(turned) < 3:
        return PairCovariance(np.diag(np.full(6, np.inf)), len(turned))
    x, y, z = turned.T
    zero = np.zeros_like(x)
    # d(R p)/d(rotation) = -[R p]x
    by_rotation = np.stack([[zero, z, -y], [-z, zero, x], [y, -x, zero]]).transpose(2, 0, 1)  # (n, 3, 3)
    jacobian = np.concatenate([np.broadcast_to(np.eye(3), by_rotation.shape), by_rotation], axis=2).reshape(-1, 6)
    variance = max(float(np.mean(distances[near] ** 2)) / 3.0, _LEAST_DEVIATION**2)
    covariance = variance * np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
    return PairCovariance(covariance, len(turned))
