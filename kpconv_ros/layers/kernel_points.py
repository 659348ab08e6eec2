# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dispositions of kernel points: as far from each other as possible inside a ball.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, supplement B. The points minimise the energy of Eq. (11): each
repels the others by 1 / distance, Eq. (9), and all are drawn to the centre by their squared distance, Eq. (10). One
point is fixed at the centre.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

NUM_CANDIDATES = 32  # random starts; the one of least energy is kept
NUM_STEPS = 1500
MEAN_RADIUS = 1.5  # in units of sigma (section 3.2)


class KernelPointError(ValueError):
    """A disposition that cannot be made."""


def disposition_energy(points: Tensor) -> Tensor:
    """Return the energy of Eq. (11) of dispositions ``(..., K, 3)``, summed over unordered pairs twice: ``(...)``."""
    distances = (points[..., :, None, :] - points[..., None, :, :]).norm(dim=-1)
    others = ~torch.eye(points.shape[-2], dtype=torch.bool, device=points.device)
    energy: Tensor = points.square().sum((-1, -2)) + distances[..., others].reciprocal().sum(-1)
    return energy


@lru_cache(maxsize=32)
def _solve(num_points: int) -> Tensor:
    """Return the disposition of least energy, centre first, mean radius of the others 1: ``(K, 3)`` float64."""
    if num_points == 1:
        return torch.zeros(1, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(num_points)
    points = torch.randn(NUM_CANDIDATES, num_points, 3, dtype=torch.float64, generator=generator)
    points /= points.norm(dim=-1, keepdim=True).clamp(min=0.5)
    points[:, 0] = 0
    for step in range(NUM_STEPS):
        offsets = points[:, :, None] - points[:, None]  # (S, K, 1, 3) - (S, 1, K, 3) -> (S, K, K, 3)
        cubes = offsets.norm(dim=-1, keepdim=True).pow(3).clamp(min=1e-6)
        gradient = 2 * points - 2 * (offsets / cubes).sum(2)  # of Eq. (11)
        gradient[:, 0] = 0
        size = gradient.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        points = points - gradient / size * (0.1 * size).clamp(max=0.1 * 0.997**step)
    best: Tensor = points[disposition_energy(points).argmin()]
    best /= best[1:].norm(dim=-1).mean()
    return best


def kernel_disposition(num_points: int, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """Place kernel points in a ball, one of them at the centre.

    Args:
        num_points: K, at least 1.
        sigma: Influence distance, metres. The others lie at 1.5 sigma on average.
        generator: Turns the disposition at random about the vertical; left as solved if None.

    Returns:
        Kernel points, ``(K, 3)`` float32, metres.

    Raises:
        KernelPointError: If ``num_points`` or ``sigma`` is not positive.
    """
    if num_points < 1 or not sigma > 0:
        raise KernelPointError(f"expected num_points >= 1 and sigma > 0, got {num_points} and {sigma}")
    points = _solve(num_points)
    if generator is not None:
        angle = float(torch.rand(1, generator=generator)) * 2 * math.pi
        cos, sin = math.cos(angle), math.sin(angle)
        points = points @ points.new_tensor([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return (points * (MEAN_RADIUS * sigma)).float()
