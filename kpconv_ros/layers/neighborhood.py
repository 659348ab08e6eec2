# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbourhoods of a layer and the influences of kernel points on them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import NeighborLists
from kpconv_ros.kernels import kpconv as kernel


@dataclass(frozen=True)
class Influences:
    """Non-zero influences h of Eq. (3), sorted by query: the sparse (M K, N) matrix of a KPConv."""

    starts: Tensor
    """First entry of each query, ``(M + 1,)`` int64."""
    kernels: Tensor
    """Kernel point of each entry, ``(E,)`` uint8."""
    columns: Tensor
    """Support of each entry, ``(E,)`` int32."""
    weights: Tensor
    """h, ``(E,)`` float32, in (0, 1]."""

    def queries(self) -> Tensor:
        """Return the query of each entry, ``(E,)`` int64."""
        return torch.repeat_interleave(self.starts.diff())


@dataclass(frozen=True)
class Neighborhood:
    """Which supports each query sees, and where both are."""

    queries: Tensor
    """``(M, 3)``, metres."""
    supports: Tensor
    """``(N, 3)``, metres."""
    lists: NeighborLists
    known: dict[bytes, Influences] = field(default_factory=dict, repr=False)
    """Influences found so far: layers of a level that share kernel points share them."""

    def influences(self, kernel_points: Tensor, sigma: float, key: bytes) -> Influences:
        """Return the influences of ``kernel_points (K, 3)``, found on first use; ``key`` names the points and sigma."""
        if key not in self.known:
            self.known[key] = find_influences(self, kernel_points[None], sigma)
        return self.known[key]


@torch.no_grad()
def find_influences(neighborhood: Neighborhood, kernel_points: Tensor, sigma: float) -> Influences:
    """Find all pairs of neighbour and kernel point closer than sigma, Eq. (3).

    Args:
        neighborhood: M queries with their neighbours.
        kernel_points: ``(1, K, 3)``, the same for all queries, or ``(M, K, 3)`` deformed ones, Eq. (5); metres.
        sigma: Influence distance, metres.
    """
    find = _find_compiled if kernel_points.device.type == "cpu" else _find_dense
    return find(neighborhood, kernel_points, sigma)


def _find_compiled(neighborhood: Neighborhood, kernel_points: Tensor, sigma: float) -> Influences:
    entries = kernel.find_influences(
        np.ascontiguousarray(neighborhood.queries.numpy()),
        np.ascontiguousarray(neighborhood.supports.numpy()),
        neighborhood.lists.row_starts.numpy(),
        neighborhood.lists.columns.numpy(),
        np.ascontiguousarray(kernel_points.numpy()),
        sigma,
    )
    return Influences(*(torch.from_numpy(array) for array in entries))


def _find_dense(neighborhood: Neighborhood, kernel_points: Tensor, sigma: float) -> Influences:
    rows, columns = neighborhood.lists.rows(), neighborhood.lists.columns.long()
    offsets = neighborhood.supports[columns] - neighborhood.queries[rows]  # (P, 3)
    placed = kernel_points.expand(len(neighborhood.queries), -1, -1)[rows]  # (P, K, 3)
    weights = 1 - (offsets[:, None] - placed).norm(dim=2) / sigma  # (P, K), Eq. (3)
    pair, kernels = (weights > 0).nonzero(as_tuple=True)
    counts = torch.bincount(rows[pair], minlength=len(neighborhood.queries))
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Influences(starts, kernels.to(torch.uint8), columns[pair].int(), weights[pair, kernels])
