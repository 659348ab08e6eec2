# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoder that gives an autodecoder its first codes: a PointNet without alignments and batch norms.

Qi et al., "PointNet", CVPR 2017, arXiv:1612.00593, as the paper of NeuralQAAD uses it in sections 2.1 and 4.2.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from kpconv_ros.config_io import param
from kpconv_ros.layers.point_mlp import DenseLayers, pooled_linear


@dataclass(frozen=True)
class CodeEncoderConfig:
    """Sizes of the encoder."""

    latent_size: int = param(64, "numbers of a code", 1)
    point_widths: tuple[int, ...] = param((64, 128, 256), "layers on each point; the last is pooled", 1)


class CodeEncoder(nn.Module):
    """Encodes clouds of any number of points."""

    def __init__(self, config: CodeEncoderConfig) -> None:
        """Build the encoder of ``config`` with random weights."""
        super().__init__()
        self.config = config
        *widths, features = config.point_widths
        self.points = DenseLayers(3, widths, norm=False)
        self.pooled = nn.Linear(widths[-1] if widths else 3, features)
        self.code = nn.Linear(features, config.latent_size)

    def forward(self, points: Tensor) -> Tensor:
        """Return codes ``(B, latent_size)`` of clouds ``(B, n, 3)``."""
        code: Tensor = self.code(pooled_linear(self.points(points), self.pooled))
        return code
