# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of rotations in torch. Angles are radians; quaternions are ``(w, x, y, z)``, as networks predict them."""

import torch
from torch import Tensor
from torch.nn import functional


def matrices_of_quaternions(quaternions: Tensor) -> Tensor:
    """Return the rotations ``(B, 3, 3)`` of quaternions ``(B, 4)``, w first, of any length but 0."""
    w, x, y, z = functional.normalize(quaternions, dim=1).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], 1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], 1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], 1),
    ]
    return torch.stack(rows, 1)


def geodesic_angles(rotations: Tensor, others: Tensor) -> Tensor:
    """Return the angle of the rotation from one to the other, ``(B,)`` in 0 to pi.

    Of matrices ``(B, 3, 3)``, by ||R - S||_F = 2 sqrt(2) sin(angle / 2), which is exact for small angles too. (A
    formula that is met with registration networks, 2 acos(2 <q, p>^2 - 1), gives twice this angle.)
    """
    distances = torch.linalg.matrix_norm(rotations - others)
    return 2 * torch.asin((distances / 8**0.5).clamp(max=1.0))


def apply_motions(rotations: Tensor, translations: Tensor, points: Tensor) -> Tensor:
    """Move each cloud: rotations ``(B, 3, 3)``, translations ``(B, 3)``, points ``(B, n, 3)``."""
    return points @ rotations.transpose(1, 2) + translations[:, None]
