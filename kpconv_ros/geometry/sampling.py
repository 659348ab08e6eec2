# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling of packed batches."""

import torch
from torch import Tensor

from kpconv_ros.geometry.packing import check_packed, offsets_of
from kpconv_ros.kernels import sampling as kernel


class SamplingError(ValueError):
    """A sampling that cannot be done."""


def sample_farthest(points: Tensor, lengths: Tensor, num_samples: int) -> Tensor:
    """Pick points one by one, each the farthest from those picked before, starting at the first of its cloud.

    Args:
        points: Packed positions, ``(N, 3)``, metres.
        lengths: ``(B,)`` int64.
        num_samples: Points to pick from each cloud.

    Returns:
        Rows of ``points``, ``(B, num_samples)`` int64, in the order of picking; a tie goes to the smaller row.

    Raises:
        SamplingError: If a cloud has fewer points than that.
    """
    check_packed(points, lengths)
    if num_samples < 1 or (len(lengths) and int(lengths.min()) < num_samples):
        raise SamplingError(f"expected at least {max(num_samples, 1)} points in each cloud, got {lengths.tolist()}")
    pick = _pick_compiled if points.device.type == "cpu" else _pick
    clouds = points.detach().split(lengths.tolist())
    picked = [pick(cloud, num_samples) for cloud in clouds]
    return torch.stack(picked) + offsets_of(lengths)[:-1, None] if picked else lengths.new_empty(0, num_samples)


def _pick_compiled(points: Tensor, num_samples: int) -> Tensor:
    return torch.from_numpy(kernel.pick_farthest(points.float().contiguous().numpy(), num_samples))


def _pick(points: Tensor, num_samples: int) -> Tensor:
    picked = torch.zeros(num_samples, dtype=torch.int64, device=points.device)
    distances = points.new_full((len(points),), torch.inf)
    for i in range(1, num_samples):
        distances = torch.minimum(distances, (points - points[picked[i - 1]]).square().sum(1))
        picked[i] = distances.argmax()
    return picked
