# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PCRNet: registration of two clouds by two PointNets of the same weights and fully connected layers.

Sarode et al., "PCRNet: Point Cloud Registration Network using PointNet Encoding", arXiv:1908.07906, with the widths
that SampleNet (CVPR 2020, section 4.2) uses it with.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.config_io import param
from kpconv_ros.geometry.rotations import apply_motions, matrices_of_quaternions
from kpconv_ros.layers.point_mlp import DenseLayers, pooled_linear
from kpconv_ros.networks.encoder import NetworkError


@dataclass(frozen=True)
class PCRNetConfig:
    """Sizes of a PCRNet."""

    point_widths: tuple[int, ...] = param((64, 64, 64, 128, 1024), "shared MLP", 1)
    hidden: tuple[int, ...] = param((1024, 1024, 512, 512, 256), "fully connected layers", 1)
    iterations: int = param(1, "passes, each on what the last one left; the paper of SampleNet takes 1", 1)
    translation: bool = param(False, "estimate a translation too; the paper of SampleNet does not")


class Registration(NamedTuple):
    """The motion that brings a template onto its source: x_source = R x_template + t."""

    rotations: Tensor
    """``(B, 3, 3)``."""
    translations: Tensor
    """``(B, 3)``, 0 where none is estimated."""


class PCRNet(nn.Module):
    """Encoder of both clouds and regression of a quaternion and a translation."""

    def __init__(self, config: PCRNetConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        *widths, features = config.point_widths
        self.points = DenseLayers(3, widths, norm=False)
        self.pooled = nn.Linear(widths[-1], features)
        self.hidden = DenseLayers(2 * features, config.hidden, norm=False)
        self.motion = nn.Linear(config.hidden[-1], 7)

    def forward(self, templates: Tensor, sources: Tensor) -> Registration:
        """Register clouds ``(B, n, 3)`` to clouds ``(B, m, 3)``; they are in the unit cube around the origin.

        Raises:
            NetworkError: If the batches do not fit.
        """
        if templates.shape[::2] != sources.shape[::2] or templates.shape[2] != 3:
            expected = f"templates and sources (B, n, 3), got {tuple(templates.shape)}, {tuple(sources.shape)}"
            raise NetworkError(f"expected {expected}")
        of_sources, moved = self.encode(sources), templates
        rotations = torch.eye(3, dtype=templates.dtype, device=templates.device).expand(len(templates), 3, 3)
        translations = templates.new_zeros(len(templates), 3)
        for _ in range(self.config.iterations):
            step = self._step(self.encode(moved), of_sources)
            rotations = step.rotations @ rotations
            translations = (step.rotations @ translations[..., None])[..., 0] + step.translations
            moved = apply_motions(rotations, translations, templates)
        return Registration(rotations, translations)

    def encode(self, points: Tensor) -> Tensor:
        """Describe each cloud by one feature vector, ``(B, n, 3)`` to ``(B, C)``."""
        return functional.relu(pooled_linear(self.points(points), self.pooled))

    def _step(self, of_templates: Tensor, of_sources: Tensor) -> Registration:
        motion = self.motion(self.hidden(torch.cat([of_templates, of_sources], 1)))
        translations = motion[:, 4:] if self.config.translation else torch.zeros_like(motion[:, 4:])
        return Registration(matrices_of_quaternions(motion[:, :4]), translations)
