# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives of learned sampling.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, arXiv:1912.03663, and Dovrat et al., "Learning
to Sample", CVPR 2019, arXiv:1812.01659.
"""

from torch import Tensor

from kpconv_ros.geometry.distances import squared_distances_to_nearest


def simplification_loss(
    simplified: Tensor, points: Tensor, beta: float = 1.0, gamma: float = 1.0, delta: float = 0.0
) -> Tensor:
    """Keep the simplified set close to the cloud, Eqs. (3)-(5).

    L = La(Q, P) + beta Lm(Q, P) + (gamma + delta |Q|) La(P, Q), with the mean squared distance La, Eq. (3), and the
    largest of each cloud Lm, Eq. (4); means over the batch.

    Args:
        simplified: Q, ``(B, m, 3)``.
        points: P, ``(B, n, 3)``.
        beta: Weight of the largest distance.
        gamma: Weight of the coverage of P.
        delta: What each point of Q adds to that weight.
    """
    to_points = squared_distances_to_nearest(simplified, points)
    to_simplified = squared_distances_to_nearest(points, simplified)
    coverage = gamma + delta * simplified.shape[1]
    return to_points.mean() + beta * to_points.amax(1).mean() + coverage * to_simplified.mean()


def projection_loss(temperature: Tensor) -> Tensor:
    """Return t^2, Eq. (10), which makes the soft projection approach a choice."""
    return temperature.square()
