# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft projection: a differentiable relaxation of picking, for each query, a point of the cloud.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, arXiv:1912.03663, section 3.2. In training a
query becomes a weighted mean of its neighbours, Eqs. (8) and (9); at inference it becomes the neighbour with the
largest weight, Eq. (12). Batches are padded, ``(B, n, 3)``: clouds of a batch that have fewer points are filled up with
any points at their end, and ``counts (B,)`` int64 says how many count.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kpconv_ros.geometry.sampling import MOST_FUSED, complete_farthest, complete_farthest_of_each
from kpconv_ros.kernels.choice import takes_triton

MOST_NEIGHBORS = 512  # of a query, that a Triton kernel keeps sorted
EXACT = "donot_use_mm_for_euclid_dist"  # by products, distances far from the origin lose their last digits


class ProjectionError(ValueError):
    """A projection that cannot be done."""


class SoftProjection(NamedTuple):
    """Neighbours of each query, nearest first, and their weights."""

    neighbors: Tensor
    """Rows of the points of the query's own cloud, ``(B, m, k)`` int64."""
    weights: Tensor
    """``(B, m, k)``, each query's sum to 1; 0 where a row is padding, in a cloud with fewer than k points."""


def soft_project(
    queries: Tensor,
    points: Tensor,
    k: int,
    temperature: Tensor | float,
    scores: Tensor | None = None,
    counts: Tensor | None = None,
) -> SoftProjection:
    """Find the neighbours of each query and weigh them by their distance, Eq. (9).

    With scores s the weights are softmax(-d^2 / t^2 + s): a point may draw a query to itself from further away.

    Args:
        queries: The simplified points, ``(B, m, 3)``.
        points: ``(B, n, 3)``, in the same frame and unit.
        k: Neighbours of a query, at most n.
        temperature: t, in the unit of the points; a number, or a tensor that broadcasts with ``(B, m, k)``.
        scores: Of each point, ``(B, n)``; None is 0 for all, the paper's Eq. (9).
        counts: Points of each cloud that are no padding, ``(B,)`` int64, at least 1; None if all are.

    Returns:
        Neighbours and weights; the weights can be differentiated by queries, points, temperature and scores.

    Raises:
        ProjectionError: If shapes do not fit, or there are fewer than k points.
    """
    _check(queries, points, k, scores, counts)
    if takes_triton(queries) and takes_triton(points) and k <= MOST_NEIGHBORS:
        return _soft_project_fused(queries, points, k, temperature, scores, counts)
    with torch.no_grad():
        distances = torch.cdist(queries, points, compute_mode=EXACT)  # (B, m, n)
        if counts is not None:
            padding = torch.arange(points.shape[1], device=points.device) >= counts[:, None]  # (B, n)
            distances = distances.masked_fill(padding[:, None], torch.inf)
        nearest, neighbors = distances.topk(k, largest=False)  # (B, m, k), sorted
    offsets = queries[:, :, None] - take_rows(points, neighbors)  # (B, m, 1, 3) - (B, m, k, 3)
    logits = -offsets.square().sum(3) / temperature**2
    if scores is not None:
        logits = logits + take_rows(scores[..., None], neighbors)[..., 0]
    return SoftProjection(neighbors, logits.masked_fill(nearest == torch.inf, -torch.inf).softmax(2))


def _soft_project_fused(
    queries: Tensor,
    points: Tensor,
    k: int,
    temperature: Tensor | float,
    scores: Tensor | None,
    counts: Tensor | None,
) -> SoftProjection:
    """Do as :func:`soft_project` by the Triton kernels; a temperature that is no single number is divided out."""
    from kpconv_ros.kernels.gpu.sampling import find_k_nearest
    from kpconv_ros.kernels.gpu.soft_projection import weigh

    num_clouds, num_points = points.shape[:2]
    clouds = torch.arange(num_clouds, device=points.device)
    sizes = clouds.new_full((num_clouds,), num_points) if counts is None else counts
    begins = (clouds * num_points).repeat_interleave(queries.shape[1])
    ends = (clouds * num_points + sizes).repeat_interleave(queries.shape[1])
    packed, supports = queries.float().flatten(0, 1), points.float().flatten(0, 1)
    rows = find_k_nearest(packed.detach().contiguous(), supports.detach().contiguous(), begins, ends, k)
    neighbors = (rows - begins[:, None]).clamp(min=0).unflatten(0, queries.shape[:2])  # (B, m, k)
    one = torch.as_tensor(temperature, dtype=torch.float32, device=points.device)
    if one.numel() != 1:
        offsets = queries[:, :, None] - take_rows(points, neighbors)
        logits = -offsets.square().sum(3) / one**2
        if scores is not None:
            logits = logits + take_rows(scores[..., None], neighbors)[..., 0]
        lost = (rows < 0).unflatten(0, queries.shape[:2])
        return SoftProjection(neighbors, logits.masked_fill(lost, -torch.inf).softmax(2))
    of_points = supports.new_zeros(len(supports)) if scores is None else scores.float().flatten()
    weights = weigh(packed, supports, of_points, one, rows)
    return SoftProjection(neighbors, weights.unflatten(0, queries.shape[:2]).to(queries.dtype))


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Take rows of each cloud: ``(B, n, C)`` and ``(B, ...)`` int64 to ``(B, ..., C)``."""
    clouds = torch.arange(len(values), device=values.device).reshape(-1, *(rows.ndim - 1) * [1])
    return values[clouds, rows]


def project(projection: SoftProjection, values: Tensor) -> Tensor:
    """Return the weighted mean of what the neighbours carry, Eq. (8): ``(B, n, C)`` to ``(B, m, C)``.

    Args:
        projection: That of the queries.
        values: Positions, colours, features of the points.
    """
    return torch.einsum("bmk,bmkc->bmc", projection.weights, take_rows(values, projection.neighbors))


def project_normals(projection: SoftProjection, normals: Tensor) -> Tensor:
    """Return the weighted mean of the neighbours' normals, of length 1: ``(B, n, 3)`` to ``(B, m, 3)``.

    The sign of a normal does not matter: all are turned to the side of the one with the largest weight.
    """
    of_neighbors = take_rows(normals, projection.neighbors)  # (B, m, k, 3)
    leading = take_rows(normals, match(projection))[:, :, None]
    agree = (of_neighbors * leading).sum(3) >= 0
    signed = torch.where(agree, projection.weights, -projection.weights)
    return functional.normalize(torch.einsum("bmk,bmkc->bmc", signed, of_neighbors), dim=2)


def match(projection: SoftProjection) -> Tensor:
    """Return the point that each query becomes at inference, Eq. (12): rows of its cloud, ``(B, m)`` int64."""
    best = projection.weights.argmax(2, keepdim=True)
    return projection.neighbors.gather(2, best)[..., 0]


def order_points(matched: Tensor, points: Tensor, num_samples: int, counts: Tensor | None = None) -> Tensor:
    """Make a sample of distinct points out of the matched ones, in the order of the queries.

    Points that several queries matched count once, where they first appear; what is missing is completed by
    farthest-point sampling that starts from all matched points (section 3.2). Where the queries are ordered, as those
    of a progressive network are, the first c rows are the sample of size c.

    Args:
        matched: Rows of each cloud, ``(B, m)`` int64, from :func:`match`.
        points: ``(B, n, 3)``.
        num_samples: Points to return, at most n; matched points beyond it are left out.
        counts: Points of each cloud that are no padding, ``(B,)`` int64; None if all are.

    Returns:
        Rows of each cloud, ``(B, num_samples)`` int64, each once.

    Raises:
        SamplingError: If a cloud has fewer points than that.
    """
    sizes = [points.shape[1]] * len(points) if counts is None else counts.tolist()
    is_first = first_appearances(matched, points.shape[1])
    if takes_triton(points) and len(points) and 0 < num_samples <= min(sizes) and points.shape[1] <= MOST_FUSED:
        seeds = matched.gather(1, torch.argsort(~is_first, dim=1, stable=True))  # those that count come first
        lengths = matched.new_full((len(points),), points.shape[1]) if counts is None else counts
        rows = torch.arange(points.shape[1], device=points.device)
        packed = points[rows < lengths[:, None]]
        seed_counts = is_first.sum(1).clamp(max=num_samples)
        picked = complete_farthest_of_each(packed, lengths, seeds, num_samples, points.shape[1], seed_counts)
        return picked - (lengths.cumsum(0) - lengths)[:, None]
    samples = [
        complete_farthest(cloud[:size], rows[first][:num_samples], num_samples)
        for cloud, rows, first, size in zip(points, matched, is_first, sizes, strict=True)
    ]
    return torch.stack(samples) if samples else matched.new_empty(0, num_samples)


def first_appearances(rows: Tensor, num_rows: int) -> Tensor:
    """Return whether each entry of ``rows (B, m)``, of 0 to ``num_rows - 1``, is the first of its value; ``(B, m)``."""
    places = torch.arange(rows.shape[1], device=rows.device).expand_as(rows)
    first = rows.new_full((len(rows), num_rows), rows.shape[1])
    first.scatter_reduce_(1, rows, places, "amin")
    return first.gather(1, rows) == places


def _check(queries: Tensor, points: Tensor, k: int, scores: Tensor | None, counts: Tensor | None) -> None:
    if queries.ndim != 3 or points.ndim != 3 or queries.shape[::2] != points.shape[::2]:
        raise ProjectionError(f"expected (B, m, 3) and (B, n, 3), got {tuple(queries.shape)}, {tuple(points.shape)}")
    if not 1 <= k <= points.shape[1]:
        raise ProjectionError(f"k: expected 1 to {points.shape[1]}, the number of points, got {k}")
    if scores is not None and scores.shape != points.shape[:2]:
        raise ProjectionError(f"scores: expected {tuple(points.shape[:2])}, got {tuple(scores.shape)}")
    if counts is not None and (
        counts.shape != points.shape[:1] or not bool(((counts > 0) & (counts <= points.shape[1])).all())
    ):
        raise ProjectionError(f"counts: expected {len(points)} of 1 to {points.shape[1]}, got {counts.tolist()}")
