# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packed batches: several clouds in one ``(N, C)`` tensor, told apart by ``lengths``.

Clouds of a batch have different numbers of points, so they are stacked along the first dimension (Thomas et al.,
"KPConv", ICCV 2019, arXiv:1904.08889, supplement A) and ``lengths (B,)`` int64 holds the points of each::

    points   [a0 a1 a2 | b0 b1 | c0 c1 c2 c3]      (9, 3)
    lengths  [3, 2, 4]                             (3,)
    offsets  [0, 3, 5, 9]                          (4,)

Nothing is padded; no index ever points from one cloud into another.
"""

import torch
from torch import Tensor


class PackingError(ValueError):
    """A packed batch whose tensors do not belong together."""


def offsets_of(lengths: Tensor) -> Tensor:
    """Return the first row of each cloud and the end of the last, ``(B + 1,)`` int64."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def cloud_of_point(lengths: Tensor) -> Tensor:
    """Return the index of the cloud that each packed row belongs to, ``(N,)`` int64."""
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


def check_packed(points: Tensor, lengths: Tensor, name: str = "points") -> None:
    """Check that ``points`` is ``(N, 3)`` floating point and that ``lengths`` sums to N.

    Raises:
        PackingError: Naming what was got and expected.
    """
    if points.ndim != 2 or points.shape[1] != 3 or not points.is_floating_point():
        raise PackingError(f"{name}: expected a float tensor (N, 3), got {points.dtype} {tuple(points.shape)}")
    if lengths.ndim != 1 or lengths.dtype != torch.int64:
        raise PackingError(f"lengths of {name}: expected int64 (B,), got {lengths.dtype} {tuple(lengths.shape)}")
    if int(lengths.sum()) != len(points) or (len(lengths) and int(lengths.min()) < 0):
        raise PackingError(f"lengths of {name}: expected a sum of {len(points)} points, got {lengths.tolist()}")
