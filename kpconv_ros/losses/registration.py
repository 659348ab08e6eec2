# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objective of a registration network on complete or sampled clouds.

Lang et al., "SampleNet", CVPR 2020, section 4.2: the true rotation and the Chamfer distance after registration.
"""

import torch
from torch import Tensor

from kpconv_ros.geometry.distances import chamfer_distances


def rotation_loss(estimates: Tensor, rotations: Tensor) -> Tensor:
    """Return the mean of ||R_estimate R^T - I||_F^2 = 8 sin^2(angle / 2) over ``(B, 3, 3)``."""
    identity = torch.eye(3, dtype=estimates.dtype, device=estimates.device)
    return (estimates @ rotations.transpose(1, 2) - identity).square().sum((1, 2)).mean()


def registration_loss(
    estimates: Tensor, rotations: Tensor, moved: Tensor, sources: Tensor, offsets: Tensor | None = None
) -> Tensor:
    """Add up the errors of rotation, of translation if it is estimated, and the Chamfer distance after registration.

    Args:
        estimates: Estimated rotations, ``(B, 3, 3)``.
        rotations: True ones.
        moved: Templates after the estimated motion, ``(B, n, 3)``.
        sources: What they were registered to, ``(B, m, 3)``.
        offsets: Estimated less true translations, ``(B, 3)``; None if none is estimated.
    """
    loss = rotation_loss(estimates, rotations) + chamfer_distances(sources, moved).mean()
    return loss if offsets is None else loss + offsets.square().sum(1).mean()
