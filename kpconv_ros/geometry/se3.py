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


def motion_of_twist(twist: NDArray[np.floating]) -> Matrix:
    """Return the rigid motion of a unit of time at a constant twist: the exponential map of SE(3).

    Args:
        twist: ``(6,)``, linear then angular velocity, both in the moving frame.
    """
    linear, angular = np.asarray(twist[:3], np.float64), np.asarray(twist[3:], np.float64)
    angle = float(np.linalg.norm(angular))
    cross = _cross_matrix(angular)
    if angle < 1e-6:
        first, second, third = 1.0, 0.5, 1.0 / 6.0
    else:
        first, second = np.sin(angle) / angle, (1.0 - np.cos(angle)) / angle**2
        third = (angle - np.sin(angle)) / angle**3
    square = cross @ cross
    result = np.eye(4)
    result[:3, :3] += first * cross + second * square
    result[:3, 3] = linear + second * (cross @ linear) + third * (square @ linear)
    return result


def twist_of_motion(motion: Matrix) -> Matrix:
    """Return the twist whose :func:`motion_of_twist` is ``motion``, ``(6,)``; rotations below half a turn."""
    rotation = motion[:3, :3]
    axis = 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = float(np.linalg.norm(axis))
    angle = float(np.arctan2(sine, 0.5 * (np.trace(rotation) - 1.0)))
    angular = axis if sine < 1e-9 else axis * (angle / sine)
    cross = _cross_matrix(angular)
    factor = 1.0 / 12.0 if angle < 1e-4 else (1.0 - 0.5 * angle / np.tan(0.5 * angle)) / angle**2
    linear = motion[:3, 3] - 0.5 * cross @ motion[:3, 3] + factor * cross @ cross @ motion[:3, 3]
    return np.concatenate([linear, angular])


def rotation_angle(motion: Matrix) -> float:
    """Return the angle of a motion's rotation, radians, 0..pi."""
    return float(np.linalg.norm(twist_of_motion(motion)[3:]))


def _cross_matrix(vector: Matrix) -> Matrix:
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
