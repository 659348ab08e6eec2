# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a registration may be believed: how many points lie on the target's planes, and which motions they fix."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import invert, motion_of_twist, transform_points, twist_of_motion
from kpconv_ros.registration.solver import Target

Array = NDArray[Any]
ON_PLANE = 0.1
"""A point this near to its plane lies on it, metres."""
SAME_PLACE = 0.6
"""A target point farther away is none of the same surface, metres."""


def measure_agreement(source: Array, target: Target, T_target_source: Array) -> float:  # noqa: N803
    """Return the share of the source points that lie on the target's planes, 0..1.

    Ground fits ground wherever a scan is laid, so the share of points that merely have a neighbour tells little; those
    of walls lie on planes only where the pose is right.

    Args:
        source: ``(m, 3)``, metres, source frame.
        target: The cloud that was registered with.
        T_target_source: The pose to judge.
    """
    points = transform_points(T_target_source, source)
    nearest, squares = target.search(points)
    distances = np.einsum("ij,ij->i", points - target.points[nearest], target.normals[nearest])
    is_on_plane = (squares < SAME_PLACE**2) & (np.abs(distances) < ON_PLANE)
    return float(is_on_plane.mean())


class Weakness(NamedTuple):
    """Motions that a registration does not fix, in the source frame."""

    translations: Array
    """Unit directions, ``(k, 3)``, k 0..3."""
    rotations: Array
    """Unit axes, ``(k, 3)``."""
    conditioning: float
    """The smaller of the two least shares of information, 0 (nothing fixes some motion) to 1 (all are fixed alike)."""

    @property
    def is_degenerate(self) -> bool:
        """Whether there is such a motion."""
        return len(self.translations) + len(self.rotations) > 0

    def project(self, covariance: Array, rotation: Array) -> Array:
        """Return the part of a covariance ``(6, 6)`` along these motions.

        Args:
            covariance: Translation first, about the axes of the target frame.
            rotation: Of the source in the target frame, ``(3, 3)``.
        """
        onto = np.zeros((6, 6))
        for part, directions in ((slice(0, 3), self.translations), (slice(3, 6), self.rotations)):
            turned = directions @ rotation.T
            onto[part, part] = turned.T @ turned
        return onto @ covariance @ onto


def find_weakness(information: Array, min_share: float) -> Weakness:
    """Find the motions about which a registration has least information.

    The information of translation and of rotation is that which stays when the other is free (Schur complement), and is
    compared with a third of its trace, so that lengths and numbers of points cancel. Zhang, Kaess, Singh, "On
    degeneracy of optimization-based state estimation problems", ICRA 2016, takes eigenvalues alike.

    Args:
        information: ``(6, 6)``, translation first, as :class:`RegistrationResult` has it.
        min_share: A direction with a smaller share is not fixed.
    """
    blocks = (information[:3, :3], information[3:, 3:])
    cross = information[:3, 3:]
    marginals = (
        blocks[0] - cross @ np.linalg.pinv(blocks[1]) @ cross.T,
        blocks[1] - cross.T @ np.linalg.pinv(blocks[0]) @ cross,
    )
    weak, least = [], 1.0
    for block, marginal in zip(blocks, marginals, strict=True):
        values, vectors = np.linalg.eigh(marginal)
        shares = np.maximum(values, 0.0) * 3.0 / max(float(np.trace(block)), 1e-12)
        least = min(least, float(shares[0]))
        weak.append(vectors.T[shares < min_share])
    return Weakness(weak[0], weak[1], least)


def keep_prediction(predicted: Array, estimated: Array, weakness: Weakness) -> Array:
    """Return the estimate with the motions that are not fixed taken from the prediction, ``(4, 4)``."""
    correction = twist_of_motion(invert(predicted) @ estimated)
    for part, directions in ((slice(0, 3), weakness.translations), (slice(3, 6), weakness.rotations)):
        correction[part] -= directions.T @ (directions @ correction[part])
    kept: Array = predicted @ motion_of_twist(correction)
    return kept


def covariance_of(information: Array, rmse: float, rotation: Array) -> Array:
    """Return the covariance of a pose from the normal equations.

    Args:
        information: ``(6, 6)``, translation first, source frame.
        rmse: Root mean square of the distances from the planes, metres; their errors count as independent.
        rotation: Of the source in the target frame, ``(3, 3)``.

    Returns:
        ``(6, 6)``, translation [m^2] then rotation [rad^2], about the axes of the target frame.
    """
    turn = np.zeros((6, 6))
    turn[:3, :3] = turn[3:, 3:] = rotation
    found: Array = turn @ np.linalg.pinv(information, hermitian=True) @ turn.T * rmse**2
    return found


def growth_of_held_pose(twist: Array | None, elapsed: float, speed: float, turn_rate: float) -> Array:
    """Return how uncertain a pose becomes that is not measured for a while.

    Args:
        twist: ``(6,)``, linear [m/s] then angular [rad/s], the last that was known; None is zero.
        elapsed: Seconds.
        speed: Deviation that grows in a second beyond the known speed, metres.
        turn_rate: The same of the rotation, radians.

    Returns:
        ``(6, 6)``, translation [m^2] then rotation [rad^2].
    """
    twist = np.zeros(6) if twist is None else twist
    away = (float(np.linalg.norm(twist[:3])) + speed) * elapsed
    turned = (float(np.linalg.norm(twist[3:])) + turn_rate) * elapsed
    return np.diag([away**2] * 3 + [turned**2] * 3)
