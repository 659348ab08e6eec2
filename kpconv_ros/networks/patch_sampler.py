# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SampleNet for the columns of a lidar scan: where in a column to look for points, and which kind of point to take.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, arXiv:1912.03663. A PointNet turns a column
into ``slots`` simplified points, which are projected onto the column's own points.

Note:
    Three departures from the paper. The simplified points start at fixed places, the anchors, spread over the column,
    instead of around its middle. Points carry features of their surroundings besides their positions. A learned score
    of these features, one for each slot, joins the logits of the projection, w = softmax((s - d^2) / t^2), so that a
    slot may prefer walls to ground or planes to leaves; s = 0 is Eq. (9). It is an area: what it wins is worth a detour
    of its square root, whatever the temperature. All points of the column are neighbours.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.layers.blocks import Unary

MOST_MOVE = 0.5  # columns that a simplified point may move from its anchor along each axis


@dataclass(frozen=True)
class PatchSamplerConfig:
    """Sizes of the network and of the columns that it was trained on."""

    slots: int = param(32, "most points that are chosen in a column: half for ground, half for walls", 2, 64)
    num_features: int = param(6, "features of a point besides its position", 1)
    widths: tuple[int, ...] = param((64, 64, 64, 128, 128), "of the layers that see each point by itself", 1)
    hidden: tuple[int, ...] = param((256, 256, 256), "of the layers that see the whole column", 1)
    score_width: int = param(32, "of the hidden layer of the score", 1)
    voxel_size: float = param(0.25, "edge of a voxel, metres", 0.01)
    cell_size: float = param(10.0, "edge of a column, metres", 0.1)
    reach: float = param(40.0, "half the edge of the square that is cut into columns, metres", 0.1)
    patch_points: int = param(128, "points of a column that the PointNet sees", 1)

    def __post_init__(self) -> None:
        """Check that the columns fill the square.

        Raises:
            ConfigError: If they do not, or a list of widths is empty.
        """
        cells = 2 * self.reach / self.cell_size
        if abs(cells - round(cells)) > 1e-6:
            raise ConfigError(f"reach: expected half a whole number of cells of {self.cell_size} m, got {self.reach}")
        if not self.widths or not self.hidden:
            raise ConfigError(f"expected widths and hidden, got {self.widths}, {self.hidden}")
        if self.slots % 2:
            raise ConfigError(f"slots: expected an even number, got {self.slots}")


class Projected(NamedTuple):
    """What the slots of each column become in training."""

    queries: Tensor
    """Simplified points, ``(C, m, 3)``, in columns."""
    points: Tensor
    """Their projections R, Eq. (8), ``(C, m, 3)``, in columns."""
    normals: Tensor
    """``(C, m, 3)``, unit length."""
    gains: Tensor
    """Mean of s - d^2 by the same weights, ``(C, m)``, columns^2: slots of all columns compete by it for a place in the
    sample, the greatest first; even and odd ones take turns."""


class PatchSamplerNet(nn.Module):
    """PointNet, fully connected layers and the score."""

    anchors: Tensor

    def __init__(self, config: PatchSamplerConfig) -> None:
        """Build it; the simplified points start at the anchors."""
        super().__init__()
        self.config = config
        sizes = (3 + config.num_features, *config.widths)
        self.point_layers = _chain(sizes)
        self.column_layers = _chain((sizes[-1], *config.hidden))
        self.offsets = nn.Linear(config.hidden[-1], 3 * config.slots)
        self.register_buffer("anchors", torch.from_numpy(anchor_pattern(config.slots)))
        self.score = nn.Sequential(
            nn.Linear(config.num_features, config.score_width), nn.ReLU(), nn.Linear(config.score_width, config.slots)
        )
        with torch.no_grad():
            self.offsets.weight.zero_()  # the training starts at the anchors
            self.offsets.bias.zero_()
            _prefer_planes(self.score)

    def forward(self, patches: Tensor) -> Tensor:
        """Return the simplified points of padded columns, ``(C, n, 3 + F)`` to ``(C, m, 3)``; positions in columns."""
        num_columns, size, channels = patches.shape
        points = self.point_layers(patches.reshape(-1, channels)).view(num_columns, size, -1)  # (C, n, W)
        moves = self.offsets(self.column_layers(points.amax(1))).view(num_columns, -1, 3)
        return self.anchors + MOST_MOVE * torch.tanh(moves / MOST_MOVE)

    def score_points(self, features: Tensor) -> Tensor:
        """Return s of each point and slot, ``(..., F)`` to ``(..., m)``, columns^2."""
        scores: Tensor = self.score(features)
        return scores

    def project(self, patches: Tensor, normals: Tensor, temperature: float) -> Projected:
        """Simplify and project, differentiably, Eqs. (8) and (9).

        Args:
            patches: ``(C, n, 3 + F)``, in any order; positions in columns. The PointNet sees the first ones.
            normals: Of the points, ``(C, n, 3)``, all on the side of the sensor.
            temperature: t, in columns.
        """
        points, features = patches.split([3, patches.shape[2] - 3], 2)
        queries = self(patches[:, : self.config.patch_points])
        gains = self.score_points(features).transpose(1, 2) - _squared_distances(queries, points)  # (C, m, n)
        weights = (gains / temperature**2).softmax(2)
        mean_normals = functional.normalize(weights @ normals, dim=2)  # (C, m, n) @ (C, n, 3)
        return Projected(queries, weights @ points, mean_normals, (weights * gains).sum(2))


def anchor_pattern(slots: int) -> NDArray[np.float32]:
    """Return fixed places of a column, ``(slots, 3)``, in columns from its middle on the ground.

    Any prefix is spread evenly over the square: R2 sequence (Roberts, "The Unreasonable Effectiveness of Quasirandom
    Sequences", 2018). Every other place is a fifth of a column above the ground, where walls are.
    """
    steps = np.arange(slots)[:, None]
    golden = 1.32471795724474602596  # x^3 = x + 1
    square = (0.5 + steps / np.array([golden, golden**2])) % 1.0 - 0.5
    return np.column_stack([square, np.where(steps % 2, 0.2, 0.0)]).astype(np.float32)


def _prefer_planes(score: nn.Sequential) -> None:
    """Set the first units of the score to a rule, the rest to random features of weight 0.

    All slots shun rough places and lines, even ones also walls, odd ones ground. Each pair of slots is worth less than
    the one before, so that columns take turns as long as all find what they look for.
    """
    hidden, output = score[0], score[2]
    assert isinstance(hidden, nn.Linear) and isinstance(output, nn.Linear)
    output.weight.zero_()
    # relu(variation + 0.3), relu(0.2 - planarity), relu(|n_z| - 0.2), relu(0.8 - |n_z|)
    rules = ((0, 1.0, 0.3), (1, -1.0, 0.2), (2, 1.0, -0.2), (2, -1.0, 0.8))
    for unit, (feature, slope, offset) in enumerate(rules):
        hidden.weight[unit].zero_()
        hidden.weight[unit, feature], hidden.bias[unit] = slope, offset
    for unit, (first, cost) in enumerate(((0, 0.3), (0, 1.0), (1, 1.0), (0, 1.0))):
        output.weight[first :: 2 if unit >= 2 else 1, unit] = -cost
    slots = torch.arange(output.out_features)
    output.bias.copy_(-0.01 * slots)


def _chain(sizes: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(*(Unary(a, b, 0.05, slope=0.0) for a, b in zip(sizes[:-1], sizes[1:], strict=True)))


def _squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Return those between all points of each column, ``(C, m, 3)`` and ``(C, n, 3)`` to ``(C, m, n)``.

    By products: a tenth of the memory, and exact enough within a column.
    """
    products = first @ second.transpose(1, 2)
    return first.square().sum(2)[:, :, None] + second.square().sum(2)[:, None] - 2 * products
