# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid motions as ``(4, 4)`` column matrices: ``p_target = T_target_source @ p_source``. NumPy, float64."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
MAX_SKEW = 1e-4  # largest deviation of R^T R from the identity that a pose may have


class PoseError(ValueError):
    """A matrix that is no rigid motion."""


def check_pose(transform: Matrix, name: str = "pose") -> Matrix:
    """Return ``transform`` as float64 ``(4, 4)``.

    Raises:
        PoseError: If it is not a finite rigid motion.
    """
    matrix = np.asarray(transform, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise PoseError(f"{name}: expected a finite matrix (4, 4), got {matrix.shape}")
    rotation = matrix[:3, :3]
    skew = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if skew > MAX_SKEW or np.linalg.det(rotation) < 0 or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise PoseError(f"{name}: expected a rotation and a last row 0 0 0 1, got a matrix off by {skew:.2g}")
    return matrix


def invert(transform: Matrix) -> Matrix:
    """Return the inverse of a rigid motion: ``T_source_target`` of ``T_target_source``."""
    result = np.eye(4)
    result[:3, :3] = transform[:3, :3].T
    result[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return result


def transform_points(T_target_source: Matrix, points: NDArray[np.floating]) -> Matrix:  # noqa: N803
    """Move points ``(N, 3)`` from the source to the target frame; float64 ``(N, 3)``, metres."""
    return np.asarray(points, np.float64) @ T_target_source[:3, :3].T + T_target_source[:3, 3]


def pose_of(translation: NDArray[np.floating], quaternion: NDArray[np.floating]) -> Matrix:
    """Build a pose from a translation ``(3,)`` in metres and a quaternion ``(x, y, z, w)``, normalised here.

    Raises:
        PoseError: If the quaternion is zero or anything is not finite.
    """
    x, y, z, w = np.asarray(quaternion, np.float64)
    norm = float(np.sqrt(x * x + y * y + z * z + w * w))
    if not np.isfinite(norm) or norm < 1e-6 or not np.isfinite(translation).all():
        raise PoseError(f"expected a finite pose with a quaternion of length 1, got length {norm}")
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
    result = np.eye(4)
    result[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    result[:3, 3] = translation
    return result
