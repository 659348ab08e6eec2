# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KPConv as the paper writes it and the public codes compute it: dense, padded, every influence, zeros included.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, Eqs. (1)-(8). Slow and hungry: (M, H, K, 3) exists as a whole.
All functions are differentiable and take any precision.
"""

import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import NeighborLists

FAR = 1e6  # where shadow neighbours stand, metres


def pad_lists(lists: NeighborLists, num_supports: int) -> Tensor:
    """Lay neighbour lists out as a padded matrix ``(M, H)`` int64; ``num_supports`` fills empty places."""
    counts = lists.row_starts.diff().long()
    rows = lists.rows()
    places = torch.arange(len(rows), device=rows.device) - lists.row_starts[rows].long()
    width = int(counts.max()) if len(counts) else 0
    padded = torch.full((len(counts), width), num_supports, dtype=torch.int64, device=rows.device)
    padded[rows, places] = lists.columns.long()
    return padded


def neighbor_offsets(queries: Tensor, supports: Tensor, neighbors: Tensor) -> Tensor:
    """Return y_i = x_i - x of each neighbour, ``(M, H, 3)``; shadow neighbours stand far away."""
    padded = torch.cat([supports, supports.new_full((1, 3), FAR)])
    return padded[neighbors] - queries[:, None]


def dense_influences(offsets: Tensor, placed: Tensor, sigma: float) -> Tensor:
    """Return h of Eq. (3) for ``offsets (M, H, 3)`` and kernel points ``(K, 3)`` or ``(M, K, 3)``: ``(M, K, H)``."""
    placed = placed if placed.ndim == 3 else placed[None]
    gaps = offsets[:, :, None] - placed[:, None]  # (M, H, 1, 3) - (M, 1, K, 3) -> (M, H, K, 3)
    distances = gaps.square().sum(3).clamp(min=1e-24).sqrt()  # the root has no slope at 0
    return (1 - distances / sigma).clamp(min=0).transpose(1, 2)


def _sum_neighbors(features: Tensor, weights: Tensor, influences: Tensor, neighbors: Tensor) -> Tensor:
    padded = torch.cat([features, features.new_zeros(1, features.shape[1])])
    seen = padded[neighbors]  # (M, H, Cin)
    weighted = influences @ seen  # (M, K, H) @ (M, H, Cin) -> (M, K, Cin)
    return (weighted.permute(1, 0, 2) @ weights).sum(0)  # (K, M, Cin) @ (K, Cin, Cout) -> (M, Cout)


def dense_kpconv(
    features: Tensor,
    weights: Tensor,
    kernel_points: Tensor,
    sigma: float,
    queries: Tensor,
    supports: Tensor,
    neighbors: Tensor,
) -> Tensor:
    """Rigid KPConv, Eqs. (1)-(3).

    Args:
        features: ``(N, Cin)`` of the supports.
        weights: ``(K, Cin, Cout)``.
        kernel_points: ``(K, 3)`` metres.
        sigma: Metres.
        queries: ``(M, 3)`` metres.
        supports: ``(N, 3)`` metres.
        neighbors: Rows of the supports, ``(M, H)`` int64; N is the shadow neighbour.

    Returns:
        ``(M, Cout)``.
    """
    offsets = neighbor_offsets(queries, supports, neighbors)
    return _sum_neighbors(features, weights, dense_influences(offsets, kernel_points, sigma), neighbors)


def dense_deformed_points(
    features: Tensor,
    offset_weights: Tensor,
    offset_bias: Tensor,
    kernel_points: Tensor,
    sigma: float,
    queries: Tensor,
    supports: Tensor,
    neighbors: Tensor,
) -> Tensor:
    """Return the kernel points that each query has, x_k + Delta_k(x), ``(M, K, 3)`` metres: Eq. (5)."""
    shifts = dense_kpconv(features, offset_weights, kernel_points, sigma, queries, supports, neighbors) + offset_bias
    return kernel_points + sigma * shifts.unflatten(1, (-1, 3))


def dense_deformable_kpconv(
    features: Tensor,
    weights: Tensor,
    offset_weights: Tensor,
    offset_bias: Tensor,
    kernel_points: Tensor,
    sigma: float,
    queries: Tensor,
    supports: Tensor,
    neighbors: Tensor,
) -> Tensor:
    """Deformable KPConv, Eqs. (4) and (5).

    Args:
        features: ``(N, Cin)`` of the supports.
        weights: ``(K, Cin, Cout)``.
        offset_weights: Of the rigid KPConv that predicts the offsets, ``(K, Cin, 3 K)``.
        offset_bias: ``(3 K,)``, in units of sigma.
        kernel_points: ``(K, 3)`` metres, before they are deformed.
        sigma: Metres.
        queries: ``(M, 3)`` metres.
        supports: ``(N, 3)`` metres.
        neighbors: Rows of the supports, ``(M, H)`` int64; N is the shadow neighbour.

    Returns:
        ``(M, Cout)``.
    """
    shared = (kernel_points, sigma, queries, supports, neighbors)
    placed = dense_deformed_points(features, offset_weights, offset_bias, *shared)
    offsets = neighbor_offsets(queries, supports, neighbors)
    return _sum_neighbors(features, weights, dense_influences(offsets, placed, sigma), neighbors)


def dense_max_pool(features: Tensor, neighbors: Tensor) -> Tensor:
    """Return the largest feature of each query's neighbours, ``(M, C)``; 0 for a query without any."""
    padded = torch.cat([features, features.new_full((1, features.shape[1]), -torch.inf)])
    largest = padded[neighbors].max(1)[0]  # (M, H, C) -> (M, C)
    return torch.where(largest.isinf(), 0.0, largest)


def looped_fitting_loss(offsets: list[Tensor], placed: Tensor, sigma: float) -> Tensor:
    """Eq. (7) point by point: ``offsets`` holds y_i ``(H_m, 3)`` of each query; mean over those with neighbours."""
    losses = []
    for near, points in zip(offsets, placed, strict=True):
        if len(near):
            losses.append(sum(min(((y - point).norm() / sigma) ** 2 for y in near) for point in points))
    return torch.stack(losses).mean()


def looped_repulsive_loss(placed: Tensor, sigma: float) -> Tensor:
    """Eq. (8) pair by pair, mean over the queries."""
    losses = []
    for points in placed:
        loss = points.new_zeros(())
        for k, point in enumerate(points):
            for other in [*points[:k], *points[k + 1 :]]:
                loss = loss + (1 - (point - other).norm() / sigma).clamp(min=0) ** 2
        losses.append(loss)
    return torch.stack(losses).mean()
