# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers of decoders that fold patches: one for each patch, all as one product."""

import math

import torch
from torch import Tensor, nn

ALL = slice(None)


class PatchLinear(nn.Module):
    """A linear layer for each of K patches, as one batched product: a grouped convolution."""

    def __init__(self, num_patches: int, in_channels: int, out_channels: int, bias: bool = True) -> None:
        """Draw weights of variance 1 / Cin, which keeps that of SELU networks; biases are 0."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_patches, in_channels, out_channels) / math.sqrt(in_channels))
        self.bias = nn.Parameter(torch.zeros(num_patches, 1, out_channels)) if bias else None

    def forward(self, features: Tensor, patches: slice = ALL) -> Tensor:
        """Map ``(K, n, Cin)`` to ``(K, n, Cout)``, or as many of the patches as the features are of."""
        if self.bias is None:
            return torch.bmm(features, self.weight[patches])
        return torch.baddbmm(self.bias[patches], features, self.weight[patches])


def shared_linear(in_channels: int, out_channels: int, bias: bool = True) -> nn.Linear:
    """Make a linear layer for all patches, drawn as those of :class:`PatchLinear` are."""
    linear = nn.Linear(in_channels, out_channels, bias)
    nn.init.normal_(linear.weight, std=1 / math.sqrt(in_channels))
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
