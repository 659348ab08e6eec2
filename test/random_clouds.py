# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small random packed batches and neighbourhoods for the tests."""

from collections.abc import Callable

import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import find_neighbor_lists
from kpconv_ros.layers.neighborhood import Neighborhood

Batch = Callable[..., tuple[Tensor, Tensor]]
"""As :func:`random_batch`."""


def random_batch(lengths: list[int], size: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return points ``(N, 3)`` in cubes of ``size`` metres around the origin, and their lengths."""
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(sum(lengths), 3, generator=generator) - 0.5) * size
    return points, torch.tensor(lengths)


def random_features(points: Tensor, channels: int) -> Tensor:
    """Return features ``(N, C)`` of points, which do not depend on where they are."""
    return torch.randn(len(points), channels, generator=torch.Generator().manual_seed(channels))


def random_neighborhood(
    num_queries: int, num_supports: int, radius: float = 0.4, seed: int = 0, batch: Batch = random_batch
) -> Neighborhood:
    """Return queries among supports in a cube of 1 m; the first query lies far from all supports."""
    supports, support_lengths = batch([num_supports], seed=seed)
    queries, query_lengths = batch([num_queries], seed=seed + 1)
    queries[0] += 50
    lists = find_neighbor_lists(queries, supports, query_lengths, support_lengths, radius)
    return Neighborhood(queries, supports, lists)


def in_double(neighborhood: Neighborhood) -> Neighborhood:
    """Return the same neighbourhood with positions in float64."""
    return Neighborhood(neighborhood.queries.double(), neighborhood.supports.double(), neighborhood.lists)
