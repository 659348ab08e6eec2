# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutional blocks of KP-CNN and KP-FCNN (Figure 9 of the paper): unary, simple and bottleneck residual."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
from kpconv_ros.layers.low_precision import Linear, linear
from kpconv_ros.layers.neighborhood import Neighborhood
from kpconv_ros.layers.pooling import max_pool

SLOPE = 0.1  # of the leaky ReLU below zero, where nothing else is told


class PackedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the rows of a packed batch; a single row is normalised by the running statistics."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalise ``(N, C)``."""
        if self.training and len(features) > 1:
            return super().forward(features)
        return functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )


class Unary(nn.Module):
    """A 1x1 convolution: linear, batch norm and, unless ``linear``, leaky ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, momentum: float, linear: bool = False, slope: float = SLOPE
    ) -> None:
        """Make the block; ``momentum`` is that of the batch norm's running statistics, ``slope`` the leaky ReLU's."""
        super().__init__()
        self.linear = Linear(in_channels, out_channels, bias=False)
        self.norm: nn.Module = PackedBatchNorm(out_channels, momentum=momentum)
        self.slope = 1.0 if linear else slope

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(N, Cin)`` to ``(N, Cout)``."""
        return self._finish(self.linear(features))

    def upsample_and_join(self, coarse: Tensor, coarse_of_fine: Tensor, skip: Tensor) -> Tensor:
        """Map the features ``(N, Cin)`` made of those of the coarse point and those of the skip link.

        The weights of the coarse features are applied before these are copied to the fine points: the same function at
        a fraction of the products, since there are fewer coarse points.

        Args:
            coarse: ``(M, Ccoarse)``.
            coarse_of_fine: Coarse point of each fine one, ``(N,)`` int64.
            skip: ``(N, Cin - Ccoarse)``.
        """
        of_coarse, of_skip = self.linear.weight.split([coarse.shape[1], skip.shape[1]], 1)
        out = linear(skip, of_skip, self.linear.bias)
        out += linear(coarse, of_coarse).index_select(0, coarse_of_fine)
        return self._finish(out)

    def _finish(self, out: Tensor) -> Tensor:
        out = self.norm(out)
        return out if self.slope == 1.0 else functional.leaky_relu_(out, self.slope)


class SimpleBlock(nn.Module):
    """KPConv, batch norm, leaky ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sigma: float,
        num_kernel_points: int,
        momentum: float,
        slope: float = SLOPE,
    ) -> None:
        """Make the block; arguments as in :class:`ResidualBlock`."""
        super().__init__()
        self.slope = slope
        self.conv = KPConv(in_channels, out_channels, sigma, num_kernel_points)
        self.norm: nn.Module = PackedBatchNorm(out_channels, momentum=momentum)

    def forward(self, features: Tensor, neighborhood: Neighborhood) -> Tensor:
        """Map ``(N, Cin)`` of the supports to ``(M, Cout)`` of the queries."""
        return functional.leaky_relu_(self.norm(self.conv(features, neighborhood)), self.slope)


class ResidualBlock(nn.Module):
    """Bottleneck residual block around a KPConv of a quarter of the width.

    Strided when its neighbourhood goes from one level to the next: then the shortcut is max-pooled over the same
    neighbours.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sigma: float,
        num_kernel_points: int,
        momentum: float,
        deformable: bool = False,
        strided: bool = False,
        shadow_pooling: bool = False,
        slope: float = SLOPE,
    ) -> None:
        """Make the block.

        Args:
            in_channels: Cin.
            out_channels: Cout, a multiple of 4.
            sigma: Influence distance, metres.
            num_kernel_points: K.
            momentum: Of the batch norms.
            deformable: Use deformable KPConv.
            strided: Queries are the next level's points.
            shadow_pooling: See :func:`max_pool`.
            slope: Of the leaky ReLU below zero.
        """
        super().__init__()
        middle = out_channels // 4
        self.strided, self.shadow_pooling, self.slope = strided, shadow_pooling, slope
        self.reduce: nn.Module = nn.Identity()
        if in_channels != middle:
            self.reduce = Unary(in_channels, middle, momentum, slope=slope)
        make = DeformableKPConv if deformable else KPConv
        self.conv = make(middle, middle, sigma, num_kernel_points)
        self.norm: nn.Module = PackedBatchNorm(middle, momentum=momentum)
        self.expand = Unary(middle, out_channels, momentum, linear=True)
        same = in_channels == out_channels
        self.shortcut: nn.Module = nn.Identity() if same else Unary(in_channels, out_channels, momentum, linear=True)

    def forward(self, features: Tensor, neighborhood: Neighborhood) -> Tensor:
        """Map ``(N, Cin)`` of the supports to ``(M, Cout)`` of the queries."""
        out = self.conv(self.reduce(features), neighborhood)
        out = self.expand(functional.leaky_relu_(self.norm(out), self.slope))
        if self.strided:
            features = max_pool(features, neighborhood.lists, self.shadow_pooling)
        return functional.leaky_relu_(out + self.shortcut(features), self.slope)


@torch.no_grad()
def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm into the layer before it, in place: the same function in evaluation, fewer passes.

    The network can no longer be trained afterwards.
    """
    for module in network.modules():
        norm = getattr(module, "norm", None)
        if not isinstance(norm, PackedBatchNorm):
            continue
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        if isinstance(module, Unary):
            module.linear.weight.mul_(scale[:, None])
            module.linear.bias = bias
        else:
            conv = module.conv
            assert isinstance(conv, KPConv | DeformableKPConv)
            conv.weights.mul_(scale)
            conv.bias = bias
        module.norm = nn.Identity()
