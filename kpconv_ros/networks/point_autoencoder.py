# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Autoencoder of point clouds: a PointNet down to one vector, and fully connected layers back to points.

Achlioptas et al., "Learning Representations and Generative Models for 3D Point Clouds", ICML 2018, arXiv:1707.02392.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from kpconv_ros.config_io import param
from kpconv_ros.layers.point_mlp import DenseLayers, max_over_points


@dataclass(frozen=True)
class PointAutoencoderConfig:
    """Sizes of the autoencoder."""

    num_points: int = param(2048, "points of a reconstruction", 1)
    point_widths: tuple[int, ...] = param((64, 128, 128, 256, 128), "shared MLP", 1)
    hidden: tuple[int, ...] = param((256, 256), "fully connected layers of the decoder", 1)


class PointAutoencoder(nn.Module):
    """Encodes clouds of any number of points; reconstructs ``num_points``."""

    def __init__(self, config: PointAutoencoderConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        self.points = DenseLayers(3, config.point_widths, norm=True)
        self.hidden = DenseLayers(config.point_widths[-1], config.hidden, norm=False)
        self.output = nn.Linear(config.hidden[-1], 3 * config.num_points)

    def forward(self, points: Tensor) -> Tensor:
        """Reconstruct clouds: ``(B, n, 3)`` to ``(B, num_points, 3)``."""
        code = max_over_points(self.points(points))
        reconstructed: Tensor = self.output(self.hidden(code))
        return reconstructed.reshape(len(points), self.config.num_points, 3)
