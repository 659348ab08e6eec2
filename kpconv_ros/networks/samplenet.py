# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SampleNet: learns, for a task, which points of a cloud to keep.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, arXiv:1912.03663. A PointNet proposes m
simplified points; in training each is softly projected onto the cloud, Eqs. (8) and (9), at inference it becomes the
neighbour with the largest weight, Eq. (12). Without projection it is S-NET (Dovrat et al., "Learning to Sample", CVPR
2019, arXiv:1812.01659), which is trained on the simplified points themselves. Trained by Eq. (11) its points are
ordered (SampleNet-Progressive): any beginning of them is a sample.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kpconv_ros.config_io import param
from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.layers.point_mlp import DenseLayers, max_over_points
from kpconv_ros.layers.soft_projection import match, order_points, project, soft_project
from kpconv_ros.layers.temperature import LearnedTemperature, TemperatureConfig, scheduled_temperature
from kpconv_ros.networks.encoder import NetworkError


@dataclass(frozen=True)
class SampleNetConfig:
    """Sizes of a SampleNet; the defaults are those for registration."""

    num_samples: int = param(64, "simplified points m", 1)
    point_widths: tuple[int, ...] = param((64, 64, 64, 128, 128), "shared MLP", 1)
    hidden: tuple[int, ...] = param((256, 256, 256), "fully connected layers", 1)
    hidden_norm: bool = param(True, "batch norm after them")
    output_norm: bool = param(False, "batch norm after the last layer")
    num_neighbors: int = param(8, "k of the soft projection", 1)
    projection: bool = param(True, "train on projected points; false is S-NET")
    temperature: TemperatureConfig = param(TemperatureConfig, "of the soft projection, in longest sides of the object")


REGISTRATION = SampleNetConfig()
CLASSIFICATION = SampleNetConfig(num_samples=32, output_norm=True, num_neighbors=7)
RECONSTRUCTION = SampleNetConfig(
    point_widths=(64, 128, 128, 256, 128), hidden=(256, 256), hidden_norm=False, num_neighbors=16
)
SIZES = {"registration": REGISTRATION, "classification": CLASSIFICATION, "reconstruction": RECONSTRUCTION}
"""The widths and numbers of neighbours that the authors' code has for each task."""


class Sampled(NamedTuple):
    """What a training sees of a sample."""

    simplified: Tensor
    """Q, ``(B, m, 3)``."""
    projected: Tensor
    """R, ``(B, m, 3)``; Q itself for S-NET."""


class SampleNet(nn.Module):
    """Network of m simplified points, their soft projection and the sample made of them."""

    t: Tensor

    def __init__(self, config: SampleNetConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        self.points = DenseLayers(3, config.point_widths, norm=True)
        self.hidden = DenseLayers(config.point_widths[-1], config.hidden, norm=config.hidden_norm)
        self.output = nn.Linear(config.hidden[-1], 3 * config.num_samples)
        self.output_norm = PackedBatchNorm(3 * config.num_samples) if config.output_norm else None
        fall = config.temperature
        self.learned = LearnedTemperature(fall.start, fall.end) if fall.kind == "learned" else None
        self.register_buffer("t", torch.tensor(float(fall.start)))

    def forward(self, points: Tensor) -> Sampled:
        """Simplify clouds ``(B, n, 3)`` and project the result onto them.

        Raises:
            ProjectionError: If there are fewer points than neighbours.
        """
        simplified = self.simplify(points)
        if not self.config.projection:
            return Sampled(simplified, simplified)
        projection = soft_project(simplified, points, self.config.num_neighbors, self.temperature())
        return Sampled(simplified, project(projection, points))

    def simplify(self, points: Tensor) -> Tensor:
        """Return the simplified points Q, ``(B, m, 3)``, of clouds ``(B, n, 3)``."""
        features = self.output(self.hidden(max_over_points(self.points(points))))
        if self.output_norm is not None:
            features = self.output_norm(features)
        simplified: Tensor = features.reshape(len(points), self.config.num_samples, 3)
        return simplified

    @torch.no_grad()
    def sample(self, points: Tensor, num_samples: int | None = None) -> Tensor:
        """Choose points of clouds ``(B, n, 3)``.

        Without scores the largest weight is that of the nearest point, whatever the temperature.

        Args:
            points: In the unit cube around the origin, as in training.
            num_samples: How many, at most n; by default m. A smaller sample is the beginning of a larger one.

        Returns:
            Rows of each cloud, ``(B, num_samples)`` int64, each once: the matched points in order of appearance, then
            farthest-point sampling from them.

        Raises:
            NetworkError: If a cloud has fewer points than that.
        """
        count = self.config.num_samples if num_samples is None else num_samples
        if not 1 <= count <= points.shape[1]:
            raise NetworkError(f"num_samples: expected 1 to {points.shape[1]}, the number of points, got {count}")
        projection = soft_project(self.simplify(points), points, 1, self.temperature())
        return order_points(match(projection), points, count)

    def temperature(self) -> Tensor:
        """Return the temperature t, a scalar."""
        return self.t if self.learned is None else self.learned()

    def set_progress(self, progress: float) -> None:
        """Set the temperature for a share of the training, 0 to 1; a learned one stays as it is."""
        if self.learned is None:
            self.t.fill_(scheduled_temperature(progress, self.config.temperature))


def sizes_for(task: str, num_samples: int, projection: bool, temperature: TemperatureConfig) -> SampleNetConfig:
    """Return the sizes of a task with another number of points."""
    return replace(SIZES[task], num_samples=num_samples, projection=projection, temperature=temperature)
