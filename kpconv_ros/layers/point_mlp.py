# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layers of PointNet: an MLP that all points share, and the maximum over the points.

Qi et al., "PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation", CVPR 2017, arXiv:1612.00593.
Clouds of a batch have as many points, ``(B, n, C)``.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.layers.blocks import PackedBatchNorm


class DenseLayers(nn.Module):
    """Linear layers with ReLU and, where wanted, batch norm before it, on the last dimension."""

    def __init__(self, in_channels: int, widths: Sequence[int], norm: bool) -> None:
        """Make a layer of each width in ``widths``."""
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((in_channels, *widths)))
        self.norms = nn.ModuleList(PackedBatchNorm(width) for width in widths) if norm else None

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(..., Cin)`` to ``(..., Cout)``."""
        out = features.reshape(-1, features.shape[-1])
        for i, linear in enumerate(self.linears):
            out = linear(out) if self.norms is None else self.norms[i](linear(out))
            out = functional.relu(out)
        return out.reshape(*features.shape[:-1], out.shape[1])


def max_over_points(features: Tensor) -> Tensor:
    """Return the maximum of each channel over the points, ``(B, n, C)`` to ``(B, C)``; one of equals has a gradient."""
    return features.max(1).values


def pooled_linear(features: Tensor, linear: nn.Linear) -> Tensor:
    """Return the maximum over the points of a linear layer, ``(B, n, Cin)`` to ``(B, Cout)``.

    Only the point that wins a channel has a gradient there, so only its product is taken where one is wanted: a third
    of the work of training the widest layer.
    """
    with torch.no_grad():
        # Cloud by cloud: (Cout, Cin) (Cin, n) -> (Cout, n) -> (Cout,) stays in the cache.
        winners = torch.stack([(linear.weight @ cloud.t()).argmax(1) for cloud in features])
    winning = features.gather(1, winners[..., None].expand(-1, -1, features.shape[2]))  # (B, Cout, Cin)
    return torch.einsum("boi,oi->bo", winning, linear.weight) + linear.bias
