# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbour searches by all distances, in float64, cloud by cloud."""

import numpy as np
import torch
from torch import Tensor


def cloud_ids(lengths: Tensor) -> Tensor:
    """Return the cloud of each row, ``(N,)``."""
    return torch.tensor([cloud for cloud, count in enumerate(lengths.tolist()) for _ in range(count)])


def all_distances(queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor) -> Tensor:
    """Return all distances ``(M, N)`` float64, metres; infinite between clouds."""
    distances = (queries.double()[:, None] - supports.double()[None]).norm(dim=2)
    other = cloud_ids(query_lengths)[:, None] != cloud_ids(support_lengths)[None]
    return distances.masked_fill(other, torch.inf)


def brute_radius_sets(
    queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor, radius: float
) -> list[set[int]]:
    """Return the rows of the supports within ``radius`` of each query."""
    near = all_distances(queries, supports, query_lengths, support_lengths) <= radius
    return [set(row.nonzero()[:, 0].tolist()) for row in near]


def nearest_rows(queries: np.ndarray, supports: np.ndarray) -> np.ndarray:
    """Return the support nearest to each query of one cloud, the first of several equally near, ``(M,)``."""
    return np.array([np.argmin(np.square(supports - query.astype(np.float64)).sum(axis=1)) for query in queries])
