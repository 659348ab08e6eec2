# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distances between the clouds of a padded batch, ``(B, n, 3)``; they can be differentiated."""

import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import find_nearest
from kpconv_ros.kernels.mutual_nearest import mutual_nearest

SOFTENING = 0.01
"""Distances below it, metres, hardly pull any more: the root has no gradient at 0."""


def nearest_rows(queries: Tensor, points: Tensor) -> Tensor:
    """Return the row of the nearest of ``points (B, n, 3)`` for each of ``queries (B, m, 3)``, ``(B, m)`` int64."""
    packed, supports = queries.detach().flatten(0, 1), points.detach().flatten(0, 1)
    lengths = [torch.full((len(c),), c.shape[1], dtype=torch.int64, device=c.device) for c in (queries, points)]
    rows = find_nearest(packed, supports, lengths[0], lengths[1]).reshape(queries.shape[:2])
    return rows - torch.arange(len(points), device=rows.device)[:, None] * points.shape[1]


def squared_distances_to_nearest(queries: Tensor, points: Tensor) -> Tensor:
    """Return min_y ||x - y||^2 for each query x over the points y of its cloud: ``(B, m, 3)`` to ``(B, m)``."""
    rows = nearest_rows(queries, points)
    return (queries - points.gather(1, rows[..., None].expand(-1, -1, 3))).square().sum(2)


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


def mean_nearest_distances(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean distance from each point of ``one`` to the nearest of ``other``, and back, ``(B,)`` each, metres.

    Their mean is what tables of map transmission call Chamfer. For many small clouds: time grows with their product.
    """
    if one.device.type == "cpu" and one.dtype == other.dtype == torch.float32:
        rows = mutual_nearest(one.detach().numpy(), other.detach().numpy())
        there, back = (torch.from_numpy(row) for row in rows)
    else:
        distances = torch.cdist(one.detach(), other.detach())
        there, back = distances.argmin(2), distances.argmin(1)
    to_other = (one - other.gather(1, there[..., None].expand_as(one))).square().sum(2)
    to_one = (other - one.gather(1, back[..., None].expand_as(other))).square().sum(2)
    return _mean_root(to_other), _mean_root(to_one)


def sliced_distances(one: Tensor, other: Tensor, directions: Tensor) -> Tensor:
    """Return how far the points of ``one`` have to travel to lie as dense as those of ``other``, ``(B,)``, metres.

    The sliced Wasserstein distance (Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", JMIV 2015)
    of order 1, twice the mean over directions: never more than the mean distance of the best matching, up to the
    directions drawn. Chamfer distances do not see how dense points lie.

    Args:
        one: ``(B, n, 3)``.
        other: ``(B, m, 3)``.
        directions: Unit vectors, ``(D, 3)``.
    """
    count = min(one.shape[1], other.shape[1])
    sides = []
    for cloud in (one, other):
        along = torch.einsum("bnc,dc->bdn", cloud, directions).sort(2).values
        places = (torch.arange(count, device=cloud.device) * 2 + 1) * cloud.shape[1] // (2 * count)
        sides.append(along[..., places])
    return 2.0 * (sides[0] - sides[1]).abs().mean((1, 2))


def random_directions(count: int, generator: torch.Generator) -> Tensor:
    """Return unit vectors, ``(count, 3)``, each direction as likely."""
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)


def _mean_root(squares: Tensor) -> Tensor:
    return (squares + SOFTENING**2).sqrt().mean(1)
