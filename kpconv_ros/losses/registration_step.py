# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What points chosen in two scans are worth to a registration: one step of point-to-plane Gauss-Newton, against truth.

Chen, Medioni, "Object modelling by registration of multiple range images", 1992, in the soft form: each source point
is matched with its nearest target points, weighted by distance, so that all can be differentiated.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Samples(NamedTuple):
    """Points chosen in one scan, some of them only in part."""

    points: Tensor
    """``(M, 3)``, metres, shared frame."""
    normals: Tensor
    """``(M, 3)``, unit length, shared frame."""
    shares: Tensor
    """How far each is in the sample, ``(M,)``, 0 to 1."""


def choose_softly(gains: Tensor, budget: int, width: float) -> Tensor:
    """Return how far each candidate is in a sample of the ``budget`` greatest gains, 0 to 1, one half at the last.

    Args:
        gains: ``(M,)``.
        budget: Candidates to choose; all if there are fewer.
        width: Difference of gains over which the share falls from one half to 1 / (1 + e).
    """
    last = gains.detach().topk(min(budget, len(gains))).values[-1]
    return ((gains - last) / width).sigmoid()


def share_crowds(samples: Samples, width: float = 0.5) -> Tensor:
    """Return weights ``(M,)`` by which points that stand close together count as one, since they err alike.

    Args:
        samples: Points of one scan.
        width: Distance at which two points are half-way independent, metres.
    """
    close = (-torch.cdist(samples.points, samples.points).square() / width**2).exp()  # (M, M)
    return samples.shares / (close @ samples.shares).clamp(min=1e-6)


def solve_step(
    source: Samples,
    target: Samples,
    spread: float = 1.0,
    max_distance: float = 2.5,
    robust_scale: float = 0.5,
    neighbors: int = 4,
) -> Tensor:
    """Return what each source point adds to the step of a registration, ``(M, 6)``: rotation, then translation.

    The sum over the points is the twist that moves the source onto the target, linearised at 0.

    Args:
        source: Its points are moved, its normals are not used.
        target: What to move it to.
        spread: Distance by which the weight of a match falls to 1 / e, metres.
        max_distance: Beyond it a source point has no match; its weight fades out before. Metres.
        robust_scale: Plane distance at which a match loses all weight (Tukey), metres.
        neighbors: Target points that each source point is matched with.
    """
    square = torch.cdist(source.points, target.points).square()  # (M, K)
    costs = square / spread**2 - target.shares.clamp(min=1e-12).log()
    cheapest, rows = costs.topk(min(neighbors, len(target.points)), largest=False)
    match = (-cheapest).softmax(1)  # (M, k)
    near = (1 - (match * square.gather(1, rows)).sum(1, keepdim=True) / max_distance**2).clamp(min=0.0)
    normals = target.normals[rows]  # (M, k, 3)
    residuals = (normals * (target.points[rows] - source.points[:, None])).sum(2)  # (M, k)
    tukey = (1 - (residuals / robust_scale).square()).clamp(min=0.0).square()
    weights = share_crowds(source)[:, None] * match * near * tukey
    arms = torch.cross(source.points[:, None].expand_as(normals), normals, dim=2)
    jacobian = torch.cat([arms, normals], 2)  # (M, k, 6)
    weighted = weights[..., None] * jacobian
    # The prior keeps the step finite where nothing is seen: a point that sees each direction, at an arm of 10 m.
    prior = torch.diag(jacobian.new_tensor([100.0] * 3 + [1.0] * 3))
    information = torch.einsum("mka,mkb->ab", weighted, jacobian) + prior
    pulls = (weighted * residuals[..., None]).sum(1)  # (M, 6)
    contributions: Tensor = torch.linalg.solve(information, pulls.T).T
    return contributions


def step_error(contributions: Tensor, arm: float = 10.0) -> tuple[Tensor, Tensor]:
    """Return how far a step leads away from the truth at which it started, metres.

    Args:
        contributions: Of each point, ``(M, 6)``.
        arm: Distance at which rotations are counted, metres.

    Returns:
        Length of the step, and its standard deviation if the points' errors were independent. The latter has a gradient
        for each point that does not depend on how the others happen to err.
    """
    scaled = contributions * contributions.new_tensor([arm] * 3 + [1.0] * 3)
    return (scaled.sum(0).square().sum() + 1e-6).sqrt(), (scaled.square().sum() + 1e-6).sqrt()
