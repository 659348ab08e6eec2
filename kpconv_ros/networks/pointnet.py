# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointNet as a classifier.

Qi et al., "PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation", CVPR 2017, arXiv:1612.00593,
section 4.2 and supplement C; without ``transforms`` it is the paper's "vanilla" network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kpconv_ros.config_io import param
from kpconv_ros.layers.point_mlp import DenseLayers, max_over_points


@dataclass(frozen=True)
class PointNetConfig:
    """Sizes of a PointNet."""

    num_classes: int = param(40, "object classes", 1)
    local_widths: tuple[int, ...] = param((64, 64), "shared MLP before the feature transform", 1)
    point_widths: tuple[int, ...] = param((64, 128, 1024), "shared MLP after it", 1)
    hidden: tuple[int, ...] = param((512, 256), "fully connected layers", 1)
    dropout: float = param(0.3, "probability with which a feature of the last hidden layer is left out", 0.0, 1.0)
    transforms: bool = param(True, "learn an alignment of the points and one of the features")


class AlignmentNet(nn.Module):
    """T-Net: predicts a matrix from a cloud of features, the identity before any training."""

    def __init__(self, channels: int) -> None:
        """Make the net for features of ``channels``."""
        super().__init__()
        self.points = DenseLayers(channels, (64, 128, 1024), norm=True)
        self.hidden = DenseLayers(1024, (512, 256), norm=True)
        self.matrix = nn.Linear(256, channels * channels)
        nn.init.zeros_(self.matrix.weight)
        with torch.no_grad():
            self.matrix.bias.copy_(torch.eye(channels).flatten())

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, C, C)`` for features ``(B, n, C)``."""
        channels = features.shape[2]
        matrices: Tensor = self.matrix(self.hidden(max_over_points(self.points(features))))
        return matrices.reshape(-1, channels, channels)


class PointNet(nn.Module):
    """Classifies clouds of any number of points."""

    def __init__(self, config: PointNetConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config, width = config, config.local_widths[-1]
        self.align_points = AlignmentNet(3) if config.transforms else None
        self.align_features = AlignmentNet(width) if config.transforms else None
        self.local = DenseLayers(3, config.local_widths, norm=True)
        self.points = DenseLayers(width, config.point_widths, norm=True)
        self.hidden = DenseLayers(config.point_widths[-1], config.hidden, norm=True)
        self.dropout = nn.Dropout(config.dropout)
        self.classes = nn.Linear(config.hidden[-1], config.num_classes)
        self._matrices: Tensor | None = None

    def forward(self, points: Tensor) -> Tensor:
        """Return logits ``(B, num_classes)`` of clouds ``(B, n, 3)``."""
        if self.align_points is not None:
            points = points @ self.align_points(points)
        features = self.local(points)
        if self.align_features is not None:
            self._matrices = self.align_features(features)
            features = features @ self._matrices
        logits: Tensor = self.classes(self.dropout(self.hidden(max_over_points(self.points(features)))))
        return logits

    def regularization(self) -> Tensor:
        """Return the mean of ||I - A A^T||_F^2, Eq. (2), over the feature transforms of the last forward; 0 without."""
        if self._matrices is None:
            return torch.zeros((), device=self.classes.weight.device)
        matrices, self._matrices = self._matrices, None
        products = matrices @ matrices.transpose(1, 2)
        identity = torch.eye(products.shape[1], device=products.device)
        return (identity - products).square().sum((1, 2)).mean()
