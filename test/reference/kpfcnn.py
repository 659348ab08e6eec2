# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN over padded neighbours, every layer dense, with the parameters of a network of ours."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.layers.blocks import PackedBatchNorm, ResidualBlock, SimpleBlock, Unary
from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.pyramid import Level
from reference.kpconv import dense_deformable_kpconv, dense_kpconv, dense_max_pool, pad_lists


class DenseLevel(NamedTuple):
    """One resolution, its neighbourhoods padded."""

    points: Tensor
    """``(N, 3)``, metres."""
    neighbors: Tensor
    """Points of this level around points of this level, ``(N, H)`` int64, padded with N."""
    pooling: Tensor | None
    """Points of this level around points of the next one, ``(M, H)`` int64, padded with N; None at the last."""
    coarse_of_fine: Tensor | None
    """Nearest point of the next level, ``(N,)`` int64; None at the last."""


def pad_levels(levels: list[Level]) -> list[DenseLevel]:
    """Lay the neighbour lists of a pyramid out as padded matrices."""
    padded = []
    for level in levels:
        count = len(level.points)
        pooling = None if level.pooling is None else pad_lists(level.pooling.lists, count)
        own = pad_lists(level.neighborhood.lists, count)
        padded.append(DenseLevel(level.points, own, pooling, level.coarse_of_fine))
    return padded


class DenseKPFCNN(nn.Module):
    """The same function as the network that it is given, computed densely; differentiable in the same parameters.

    In training it normalises by the batch, but leaves the running statistics alone.
    """

    def __init__(self, network: KPFCNN) -> None:
        """Share the parameters of ``network``."""
        super().__init__()
        self.network = network

    def forward(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Return the logits ``(N, num_classes)``, like the network itself."""
        return self.classify(pad_levels(self.network.build_levels(points, lengths)), features)

    def classify(self, levels: list[DenseLevel], features: Tensor) -> Tensor:
        """Return the logits of a padded pyramid with input ``features (N, in_features)``."""
        network, at, skips = self.network, 0, []
        for name, block in zip(network.config.encoder, network.encoder, strict=True):
            level = levels[at]
            if name.endswith("strided"):
                skips.append(features)
                assert level.pooling is not None
                features = self._block(block, features, levels[at + 1].points, level.points, level.pooling)
                at += 1
            else:
                features = self._block(block, features, level.points, level.points, level.neighbors)
        for unary in network.decoder:
            at -= 1
            nearest = levels[at].coarse_of_fine
            assert nearest is not None
            features = self._unary(unary, torch.cat([features[nearest], skips.pop()], 1))
        if network.config.half_decoder:
            features = self._unary(network.head, features)
        else:
            features = functional.linear(features, network.head.weight, network.head.bias)
        slope, hidden = network.config.slope, functional.leaky_relu(features, network.config.slope)
        logits = functional.linear(hidden, network.classifier.weight, network.classifier.bias)
        return functional.leaky_relu(logits, slope) if network.config.leaky_logits else logits

    def _block(
        self, block: nn.Module, features: Tensor, queries: Tensor, supports: Tensor, neighbors: Tensor
    ) -> Tensor:
        if isinstance(block, SimpleBlock):
            out = _convolve(block.conv, features, queries, supports, neighbors)
            return functional.leaky_relu(self._norm(block.norm, out), block.slope)
        assert isinstance(block, ResidualBlock)
        out = _convolve(block.conv, self._unary(block.reduce, features), queries, supports, neighbors)
        out = self._unary(block.expand, functional.leaky_relu(self._norm(block.norm, out), block.slope))
        shortcut = dense_max_pool(features, neighbors) if block.strided else features
        return functional.leaky_relu(out + self._unary(block.shortcut, shortcut), block.slope)

    def _unary(self, unary: nn.Module, features: Tensor) -> Tensor:
        if not isinstance(unary, Unary):
            return features
        out = self._norm(unary.norm, functional.linear(features, unary.linear.weight, unary.linear.bias))
        return functional.leaky_relu(out, unary.slope)

    def _norm(self, norm: nn.Module, features: Tensor) -> Tensor:
        if not isinstance(norm, PackedBatchNorm):
            return features
        assert norm.running_mean is not None and norm.running_var is not None
        mean, variance = norm.running_mean, norm.running_var
        if self.training and len(features) > 1:
            mean, variance = features.mean(0), features.var(0, unbiased=False)
        return (features - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias


def _convolve(
    conv: KPConv | DeformableKPConv, features: Tensor, queries: Tensor, supports: Tensor, neighbors: Tensor
) -> Tensor:
    shared = (conv.kernel_points, conv.sigma, queries, supports, neighbors)
    if isinstance(conv, KPConv):
        out = dense_kpconv(features, conv.weights, *shared)
    else:
        out = dense_deformable_kpconv(features, conv.weights, conv.offsets.weights, conv.offset_bias, *shared)
    return out if conv.bias is None else out + conv.bias
