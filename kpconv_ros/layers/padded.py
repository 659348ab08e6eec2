# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KPConv and pooling over padded neighbour matrices, in plain operations that exporters can trace.

Slower and hungrier than :mod:`kpconv_ros.layers.kernel_sum`: all (M, K, H) influences exist, zeros included. Adding
up the three axes one by one keeps (M, K, H, 3) from existing too.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv

FAR = 1e6  # where shadow neighbours stand, metres


class PaddedNeighborhood(NamedTuple):
    """Which supports each query sees, and where both are."""

    queries: Tensor
    """``(M, 3)``, metres."""
    supports: Tensor
    """``(N, 3)``, metres."""
    neighbors: Tensor
    """Rows of the supports, ``(M, H)`` int64, H at least 1; N, the shadow neighbour, fills empty places."""


def padded_influences(neighborhood: PaddedNeighborhood, kernel_points: Tensor, sigma: float) -> Tensor:
    """Return h of Eq. (3), 0 for shadow neighbours, ``(M, K, H)``.

    Args:
        neighborhood: M queries with up to H neighbours.
        kernel_points: ``(1, K, 3)``, the same for all queries, or ``(M, K, 3)`` deformed ones; metres.
        sigma: Influence distance, metres.
    """
    queries, supports, neighbors = neighborhood
    placed = torch.cat([supports, supports.new_full((1, 3), FAR)])
    offsets = placed[neighbors] - queries[:, None]  # (M, H, 3), y_i = x_i - x
    x, y, z = (offsets[:, None, :, axis] - kernel_points[:, :, None, axis] for axis in range(3))  # each (M, K, H)
    return torch.relu(1 - torch.sqrt(x * x + y * y + z * z) / sigma)


def padded_kernel_sum(features: Tensor, weights: Tensor, neighbors: Tensor, influences: Tensor) -> Tensor:
    """Compute sum_i sum_k h_ik W_k f_i for every query, Eqs. (1) and (2).

    Args:
        features: ``(N, Cin)`` of the supports.
        weights: ``(K, Cin, Cout)``.
        neighbors: ``(M, H)`` int64, N is the shadow neighbour.
        influences: ``(M, K, H)``.

    Returns:
        ``(M, Cout)``.
    """
    seen = torch.cat([features, features.new_zeros(1, features.shape[1])])[neighbors]  # (M, H, Cin)
    gathered = torch.matmul(influences, seen)  # (M, K, H) @ (M, H, Cin) -> (M, K, Cin)
    return gathered.flatten(1) @ weights.flatten(0, 1)


def padded_kpconv(
    conv: KPConv | DeformableKPConv,
    features: Tensor,
    neighborhood: PaddedNeighborhood,
    influences: Tensor | None = None,
) -> Tensor:
    """Do what ``conv`` does to ``features (N, Cin)`` of the supports; ``(M, Cout)`` of the queries.

    Args:
        conv: Its weights are used as they are.
        features: Of the supports.
        neighborhood: M queries.
        influences: Those of the layer's own kernel points, ``(M, K, H)``, if they are known.
    """
    own = padded_influences(neighborhood, conv.kernel_points[None], conv.sigma) if influences is None else influences
    if isinstance(conv, DeformableKPConv):  # Eqs. (4) and (5)
        shifts = padded_kernel_sum(features, conv.offsets.weights, neighborhood.neighbors, own) + conv.offset_bias
        placed = conv.kernel_points + conv.sigma * shifts.unflatten(1, (-1, 3))  # (M, K, 3)
        own = padded_influences(neighborhood, placed, conv.sigma)
    out = padded_kernel_sum(features, conv.weights, neighborhood.neighbors, own)
    return out if conv.bias is None else out + conv.bias


def padded_max_pool(features: Tensor, neighbors: Tensor, shadows: bool = False) -> Tensor:
    """Return the largest feature among each query's neighbours, ``(N, C)`` to ``(M, C)``; 0 without neighbours.

    With ``shadows``, shadow neighbours are pooled as features of zeros: the same as :func:`.pooling.max_pool` does if H
    is the number of neighbours of the fullest query.
    """
    nothing = 0.0 if shadows else -torch.inf
    padded = torch.cat([features, features.new_full((1, features.shape[1]), nothing)])
    largest = padded[neighbors].amax(1)  # (M, H, C) -> (M, C)
    return largest if shadows else torch.where(largest == -torch.inf, torch.zeros_like(largest), largest)
