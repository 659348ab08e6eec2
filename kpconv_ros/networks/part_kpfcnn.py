# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN with several heads: one network segments the parts of the objects of several classes.

Thomas et al., "KPConv: Flexible and Deformable Convolution for Point Clouds", ICCV 2019, arXiv:1904.08889,
section 4.1, "Segmentation task": encoder and decoder are shared, each object class has a head of its own.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.geometry.packing import cloud_of_point
from kpconv_ros.layers.low_precision import linear
from kpconv_ros.networks.decoder import Decoder
from kpconv_ros.networks.encoder import Encoder, EncoderConfig, NetworkError, check_features, offset_regularization


@dataclass(frozen=True)
class PartKPFCNNConfig(EncoderConfig):
    """Every size of a KP-FCNN with several heads. The parts are numbered through: ``num_classes`` is their sum."""

    num_parts: tuple[int, ...] = ()
    """Parts of each object class."""

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            NetworkError: Naming the field.
        """
        super().__post_init__()
        if not self.num_parts or min(self.num_parts) < 1:
            raise NetworkError(f"num_parts: expected one part or more for each object class, got {self.num_parts}")
        if sum(self.num_parts) != self.num_classes:
            raise NetworkError(f"num_classes: expected {sum(self.num_parts)} parts in all, got {self.num_classes}")


class PartKPFCNN(nn.Module):
    """Encoder and decoder of KP-FCNN, and a head of two fully connected layers for each object class."""

    def __init__(self, config: PartKPFCNNConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        width = self.encoder.widths[0]
        self.decoder = Decoder(self.encoder.widths, config.momentum, config.slope)
        self.heads = StackedLinear(width, len(config.num_parts) * [width])
        self.classifiers = StackedLinear(width, list(config.num_parts))

    def forward(self, points: Tensor, lengths: Tensor, features: Tensor, categories: Tensor) -> Tensor:
        """Classify every point by the head of its cloud's object class.

        Args:
            points: One point a voxel, packed, ``(N, 3)``, metres.
            lengths: ``(B,)`` int64.
            features: ``(N, in_features)``.
            categories: Object class of each cloud, ``(B,)`` int64.

        Returns:
            Logits, ``(N, num_classes)``; minus infinity for the parts of other object classes.

        Raises:
            NetworkError: If the features or the object classes do not fit.
        """
        check_features(features, points, self.config.in_features)
        self._check_categories(lengths, categories)
        if not len(points):
            return features.new_zeros(0, self.config.num_classes)
        levels = self.config.build_levels(points, lengths)
        decoded = self.decoder(levels, self.encoder(levels, features))
        present, category_of_point = categories.unique().tolist(), categories[cloud_of_point(lengths)]
        rows = [(category_of_point == category).nonzero()[:, 0] for category in present]
        outs = [self._head(category, decoded[own]) for category, own in zip(present, rows, strict=True)]
        return torch.cat(outs)[torch.cat(rows).argsort()]

    def _head(self, category: int, features: Tensor) -> Tensor:
        """Return the logits ``(M, num_classes)`` of points of one object class."""
        hidden = functional.leaky_relu_(self.heads(category, features), self.config.slope)
        own = self.classifiers(category, hidden)
        before, parts = sum(self.config.num_parts[:category]), self.config.num_parts[category]
        return functional.pad(own, (before, self.config.num_classes - before - parts), value=-math.inf)

    def _check_categories(self, lengths: Tensor, categories: Tensor) -> None:
        most = len(self.config.num_parts)
        if categories.shape != lengths.shape or categories.dtype != torch.int64:
            expected = f"int64 {tuple(lengths.shape)}"
            raise NetworkError(f"categories: expected {expected}, got {categories.dtype} {tuple(categories.shape)}")
        if len(categories) and not 0 <= int(categories.min()) <= int(categories.max()) < most:
            raise NetworkError(f"categories: expected object classes 0 to {most - 1}, got {categories.tolist()}")

    def regularization(self) -> Tensor:
        """Return the summed offset regularisation of the last training forward, Eq. (6); 0 for a rigid network."""
        return offset_regularization(self)


class StackedLinear(nn.Module):
    """Several linear layers of one input width, their weights in one tensor: all take part in every step.

    With parameters of its own, a head would have no gradient in a batch without its object class, and its momentum
    would stand still; training on several devices would wait for it.
    """

    def __init__(self, in_channels: int, out_channels: list[int]) -> None:
        """Make the layers; ``out_channels`` has the output width of each."""
        super().__init__()
        self.starts = (0, *itertools.accumulate(out_channels))
        bound = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.empty(self.starts[-1], in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(self.starts[-1]).uniform_(-bound, bound))

    def forward(self, index: int, features: Tensor) -> Tensor:
        """Apply layer ``index`` to ``(N, Cin)``."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return linear(features, self.weight[rows], self.bias[rows])
