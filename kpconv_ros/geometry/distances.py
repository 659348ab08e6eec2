# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distances between the clouds of a padded batch, ``(B, n, 3)``; they can be differentiated."""

import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import find_nearest


def squared_distances_to_nearest(queries: Tensor, points: Tensor) -> Tensor:
    """Return min_y ||x - y||^2 for each query x over the points y of its cloud: ``(B, m, 3)`` to ``(B, m)``."""
    packed, supports = queries.flatten(0, 1), points.flatten(0, 1)
    lengths = [torch.full((len(c),), c.shape[1], dtype=torch.int64, device=c.device) for c in (queries, points)]
    nearest = find_nearest(packed.detach(), supports.detach(), lengths[0], lengths[1])
    return (packed - supports[nearest]).square().sum(1).reshape(queries.shape[:2])


def chamfer_distances(one: Tensor, other: Tensor) -> Tensor:
    """Return the Chamfer distance of each pair of clouds, ``(B,)``: the mean squared distance to the nearest point of
    the other cloud, both ways added.
    """
    there, back = squared_distances_to_nearest(one, other), squared_distances_to_nearest(other, one)
    return there.mean(1) + back.mean(1)


def augmented_chamfer_distances(one: Tensor, other: Tensor) -> Tensor:
    """Return the larger of the two mean squared distances whose sum is the Chamfer distance, ``(B,)``.

    Eq. (11) of the paper of NeuralQAAD over the number of points, as :func:`chamfer_distances` is its Eq. (10).
    """
    there, back = squared_distances_to_nearest(one, other), squared_distances_to_nearest(other, one)
    return torch.maximum(there.mean(1), back.mean(1))
