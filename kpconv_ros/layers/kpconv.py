# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kernel point convolution, rigid and deformable.

Thomas et al., "KPConv: Flexible and Deformable Convolution for Point Clouds", ICCV 2019, arXiv:1904.08889, section 3.
"""

import math

import torch
from torch import Tensor, nn

from kpconv_ros.kernels import kpconv as kernel
from kpconv_ros.layers.kernel_points import kernel_disposition
from kpconv_ros.layers.kernel_sum import fused_kernel_sum, is_fused, kernel_sum
from kpconv_ros.layers.neighborhood import Influences, Neighborhood, find_influences


class KPConvError(ValueError):
    """Input that a convolution cannot take."""


class KPConv(nn.Module):
    """Rigid KPConv, Eqs. (1)-(3)."""

    kernel_points: Tensor

    def __init__(self, in_channels: int, out_channels: int, sigma: float, num_kernel_points: int = 15) -> None:
        """Make the layer.

        Args:
            in_channels: Cin.
            out_channels: Cout.
            sigma: Influence distance of a kernel point, metres. Neighbours up to 2.5 sigma should be given.
            num_kernel_points: K.
        """
        super().__init__()
        self.sigma = sigma
        self.weights = nn.Parameter(torch.empty(num_kernel_points, in_channels, out_channels))
        self.bias: nn.Parameter | None = None
        """Set when a batch norm is folded in, ``(Cout,)``."""
        self.register_buffer("kernel_points", kernel_disposition(num_kernel_points, sigma))
        bound = 1 / math.sqrt(in_channels * num_kernel_points)
        nn.init.uniform_(self.weights, -bound, bound)

    def forward(self, features: Tensor, neighborhood: Neighborhood) -> Tensor:
        """Convolve ``features (N, Cin)`` of the supports; returns ``(M, Cout)`` of the queries."""
        _check_features(features, neighborhood, self.weights.shape[1])
        if is_fused(features, neighborhood):
            out = fused_kernel_sum(features, self.weights, neighborhood, self.kernel_points[None], self.sigma)
        else:
            key = self.kernel_points.detach().cpu().numpy().tobytes() + str(self.sigma).encode()
            influences = neighborhood.influences(self.kernel_points, self.sigma, key)
            out = kernel_sum(features, self.weights, influences)
        return out if self.bias is None else out + self.bias


class DeformableKPConv(nn.Module):
    """Deformable KPConv, Eqs. (4) and (5): a rigid one predicts where each query's kernel points go."""

    kernel_points: Tensor

    def __init__(self, in_channels: int, out_channels: int, sigma: float, num_kernel_points: int = 15) -> None:
        """Make the layer; arguments as in :class:`KPConv`."""
        super().__init__()
        self.sigma = sigma
        self.offsets = KPConv(in_channels, 3 * num_kernel_points, sigma, num_kernel_points)
        self.offset_bias = nn.Parameter(torch.zeros(3 * num_kernel_points))
        self.weights = nn.Parameter(torch.empty(num_kernel_points, in_channels, out_channels))
        self.bias: nn.Parameter | None = None
        """Set when a batch norm is folded in, ``(Cout,)``."""
        self.register_buffer("kernel_points", kernel_disposition(num_kernel_points, sigma))
        bound = 1 / math.sqrt(in_channels * num_kernel_points)
        nn.init.uniform_(self.weights, -bound, bound)
        self.regularization: Tensor | None = None
        """Loss of the last training forward, mean over the queries of Eq. (6)."""

    def forward(self, features: Tensor, neighborhood: Neighborhood) -> Tensor:
        """Convolve ``features (N, Cin)`` of the supports; returns ``(M, Cout)`` of the queries."""
        _check_features(features, neighborhood, self.weights.shape[1])
        placed = self.place_kernels(features, neighborhood)
        if self.training:
            self.regularization = fitting_loss(neighborhood, placed, self.sigma) + repulsive_loss(placed, self.sigma)
        if is_fused(features, neighborhood):
            out = fused_kernel_sum(features, self.weights, neighborhood, placed, self.sigma)
        else:
            influences = find_influences(neighborhood, placed.detach(), self.sigma)
            strengths = deformed_strengths(neighborhood, placed, influences, self.sigma)
            out = kernel_sum(features, self.weights, influences, strengths)
        return out if self.bias is None else out + self.bias

    def place_kernels(self, features: Tensor, neighborhood: Neighborhood) -> Tensor:
        """Return the deformed kernel points of each query, x_k + Delta_k(x) of Eq. (4), ``(M, K, 3)``, metres."""
        shifts = (self.offsets(features, neighborhood) + self.offset_bias).unflatten(1, (-1, 3)) * self.sigma
        placed: Tensor = self.kernel_points + shifts.to(self.kernel_points.dtype)
        return placed


def _check_features(features: Tensor, neighborhood: Neighborhood, channels: int) -> None:
    expected = (len(neighborhood.supports), channels)
    if features.shape != expected:
        raise KPConvError(f"features: expected {expected}, got {tuple(features.shape)}")


def deformed_strengths(neighborhood: Neighborhood, placed: Tensor, influences: Influences, sigma: float) -> Tensor:
    """Return h(y_i, x_k + Delta_k), Eqs. (3) and (5), of the entries, ``(E,)``, differentiable in ``placed``."""
    queries, columns = influences.queries(), influences.columns.long()
    offsets = neighborhood.supports[columns] - neighborhood.queries[queries]  # (E, 3), y_i = x_i - x
    gaps = offsets - placed[queries, influences.kernels.long()]
    return (1 - (gaps.square().sum(1) + 1e-12).sqrt() / sigma).clamp(min=0)


def fitting_loss(neighborhood: Neighborhood, placed: Tensor, sigma: float) -> Tensor:
    """Squared distance from each kernel point to its nearest neighbour in units of sigma, Eq. (7).

    Args:
        neighborhood: M queries with their neighbours.
        placed: Deformed kernel points, ``(M, K, 3)``, metres.
        sigma: Metres.

    Returns:
        Sum over k, mean over the queries that have neighbours.
    """
    nearest = _nearest_neighbors(neighborhood, placed.detach())  # (M, K)
    occupied = nearest[:, 0] >= 0
    offsets = neighborhood.supports[nearest[occupied]] - neighborhood.queries[occupied][:, None]
    return ((offsets - placed[occupied]) / sigma).square().sum() / occupied.sum().clamp(min=1)


def repulsive_loss(placed: Tensor, sigma: float) -> Tensor:
    """Squared overlap of the influence areas of all pairs of kernel points, Eq. (8): mean over the queries."""
    num_kernels = placed.shape[1]
    others = ~torch.eye(num_kernels, dtype=torch.bool, device=placed.device)
    gaps = (placed[:, :, None] - placed[:, None])[:, others]  # (M, K (K - 1), 3)
    overlap = (1 - (gaps.square().sum(2) + 1e-12).sqrt() / sigma).clamp(min=0)
    return overlap.square().sum(1).mean()


def _nearest_neighbors(neighborhood: Neighborhood, placed: Tensor) -> Tensor:
    nearest = torch.full(placed.shape[:2], -1, dtype=torch.int64, device=placed.device)
    lists = neighborhood.lists
    if placed.device.type == "cpu":
        arrays = [t.contiguous().numpy() for t in (neighborhood.queries, neighborhood.supports, *lists, placed)]
        kernel.nearest_neighbor_of_kernels(0, len(placed), *arrays, nearest.numpy())
        return nearest
    rows, columns = lists.rows(), lists.columns.long()
    offsets = neighborhood.supports[columns] - neighborhood.queries[rows]
    distances = (offsets[:, None] - placed[rows]).norm(dim=2)  # (P, K)
    least = distances.new_full(placed.shape[:2], torch.inf).scatter_reduce(
        0, rows[:, None].expand_as(distances), distances, "amin"
    )
    pair, kernels = (distances == least[rows]).nonzero(as_tuple=True)
    nearest[rows[pair], kernels] = columns[pair]
    return nearest
