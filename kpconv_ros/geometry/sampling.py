# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling of packed batches."""

import torch
from torch import Tensor

from kpconv_ros.geometry.packing import check_packed, offsets_of
from kpconv_ros.kernels import sampling as kernel
from kpconv_ros.kernels.choice import takes_triton

MOST_FUSED = 16384  # points of a cloud that a Triton kernel holds


class SamplingError(ValueError):
    """A sampling that cannot be done."""


def sample_farthest(points: Tensor, lengths: Tensor, num_samples: int) -> Tensor:
    """Pick points one by one, each the farthest from those picked before, starting at the first of its cloud.

    Args:
        points: Packed positions, ``(N, 3)``, metres.
        lengths: ``(B,)`` int64.
        num_samples: Points to pick from each cloud.

    Returns:
        Rows of ``points``, ``(B, num_samples)`` int64, each once, in the order of picking; a tie goes to the smaller
        row.

    Raises:
        SamplingError: If a cloud has fewer points than that.
    """
    check_packed(points, lengths)
    if num_samples < 1 or (len(lengths) and int(lengths.min()) < num_samples):
        raise SamplingError(f"expected at least {max(num_samples, 1)} points in each cloud, got {lengths.tolist()}")
    if takes_triton(points) and len(lengths):
        largest = int(lengths.max())
        if largest <= MOST_FUSED:
            return complete_farthest_of_each(points, lengths, lengths.new_zeros(len(lengths), 1), num_samples, largest)
    first = lengths.new_zeros(1)
    picked = [complete_farthest(cloud, first, num_samples) for cloud in points.split(lengths.tolist())]
    return torch.stack(picked) + offsets_of(lengths)[:-1, None] if picked else lengths.new_empty(0, num_samples)


def complete_farthest(points: Tensor, seeds: Tensor, num_samples: int) -> Tensor:
    """Go on with farthest-point sampling of one cloud from points that were picked before.

    Args:
        points: One cloud, ``(N, 3)``, metres.
        seeds: Rows picked before, ``(S,)`` int64, each once, S from 1 to ``num_samples``.
        num_samples: Points to pick, those of ``seeds`` among them.

    Returns:
        Rows of ``points``, ``(num_samples,)`` int64, each once: the seeds in their order, then the others in the order
        of picking.

    Raises:
        SamplingError: If the cloud has fewer points than that, or there are no seeds or too many.
    """
    if not 1 <= len(seeds) <= num_samples <= len(points):
        expected = f"1 to {num_samples} seeds and at least {num_samples} points"
        raise SamplingError(f"expected {expected}, got {len(seeds)} and {len(points)}")
    if takes_triton(points) and len(points) <= MOST_FUSED:
        size = seeds.new_tensor([len(points)])
        return complete_farthest_of_each(points, size, seeds[None], num_samples, len(points))[0]
    pick = _pick_compiled if points.device.type == "cpu" else _pick
    return pick(points.detach(), num_samples, seeds)


def complete_farthest_of_each(
    points: Tensor,
    lengths: Tensor,
    seeds: Tensor,
    num_samples: int,
    largest: int,
    seed_counts: Tensor | None = None,
) -> Tensor:
    """Do as :func:`complete_farthest` for all clouds of a batch at once, where ``takes_triton(points)`` holds.

    Args:
        points: Packed, ``(N, 3)``, metres.
        lengths: ``(B,)`` int64, each ``num_samples`` or more.
        seeds: Rows of each cloud, ``(B, S)`` int64.
        num_samples: Points to pick from each.
        largest: Points of the largest cloud, at most :data:`MOST_FUSED`.
        seed_counts: How many of the seeds of each cloud count, ``(B,)`` int64; None is all.

    Returns:
        Rows of ``points``, ``(B, num_samples)`` int64.
    """
    from kpconv_ros.kernels.gpu.sampling import pick_farthest

    counts = lengths.new_full((len(lengths),), seeds.shape[1]) if seed_counts is None else seed_counts
    starts = offsets_of(lengths)
    packed = points.detach().float().contiguous()
    return pick_farthest(packed, starts, seeds, counts, num_samples, largest) + starts[:-1, None]


def _pick_compiled(points: Tensor, num_samples: int, seeds: Tensor) -> Tensor:
    array = points.float().contiguous().numpy()
    return torch.from_numpy(kernel.pick_farthest(array, num_samples, seeds.numpy()))


def _pick(points: Tensor, num_samples: int, seeds: Tensor) -> Tensor:
    picked = torch.zeros(num_samples, dtype=torch.int64, device=points.device)
    picked[: len(seeds)] = seeds
    distances = points.new_full((len(points),), torch.inf)
    for i in range(1, num_samples):
        distances = torch.minimum(distances, (points - points[picked[i - 1]]).square().sum(1))
        distances[picked[i - 1]] = -1.0  # never again, even where all that is left are copies
        if i >= len(seeds):
            picked[i] = distances.argmax()
    return picked
