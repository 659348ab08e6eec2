# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder of KP-CNN and KP-FCNN: blocks in order, a strided one leading to the next level.

Thomas et al., "KPConv: Flexible and Deformable Convolution for Point Clouds", ICCV 2019, arXiv:1904.08889,
section 3.4 and Figures 8 and 9.

Note:
    Widths follow the authors' PyTorch code, where a strided block keeps the width and the block after it doubles it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kpconv_ros.layers.blocks import SLOPE, ResidualBlock, SimpleBlock
from kpconv_ros.layers.kpconv import DeformableKPConv
from kpconv_ros.networks.pyramid import Level, build_pyramid

BLOCKS = ("simple", "residual", "strided", "deformable", "deformable_strided")
PAPER_ENCODER = ("simple", "residual", *4 * ("strided", "residual"))
"""Two blocks a level, Figure 8."""
PAPER_DEFORMABLE_ENCODER = (*PAPER_ENCODER[:5], "deformable", *2 * ("deformable_strided", "deformable"))
"""The same with deformable kernels in the last five blocks, section 3.4."""
DEEP_ENCODER = ("simple", "residual", *3 * ("strided", "residual", "residual"), "strided", "residual")
"""The authors' choice for SemanticKITTI."""


class NetworkError(ValueError):
    """A network that cannot be built, or input that it cannot take."""


@dataclass(frozen=True)
class EncoderConfig:
    """Every size that KP-CNN and KP-FCNN share."""

    num_classes: int
    """Logits."""
    in_features: int
    """Input features a point."""
    voxel_size: float
    """Cell of the first level, dl_0, metres."""
    width: int = 128
    """Features after the first residual block; they double from level to level. A multiple of 8."""
    encoder: tuple[str, ...] = PAPER_ENCODER
    """Blocks in order, from :data:`BLOCKS`; a strided one leads to the next level."""
    num_kernel_points: int = 15
    """K."""
    sigma: float = 1.0
    """Influence distance of a kernel point, in cells of its level."""
    radius: float = 2.5
    """Neighbourhood radius, in cells of its level."""
    deformable_radius: float = 5.0
    """The same for deformable blocks, rho; the rigid ones of a level with deformable ones get it too."""
    max_neighbors: tuple[int, ...] = ()
    """Largest neighbourhood of each level; no limit if empty."""
    momentum: float = 0.02
    """Weight of a new batch in the running statistics of the batch norms."""
    shadow_pooling: bool = False
    """Queries with fewer neighbours than the fullest one also pool zeros, as the authors' padded matrices make them."""
    slope: float = SLOPE
    """Of every leaky ReLU below zero."""

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            NetworkError: Naming the field.
        """
        unknown = [name for name in self.encoder if name not in BLOCKS]
        if unknown or not self.encoder or self.encoder[0] != "simple" or "simple" in self.encoder[1:]:
            raise NetworkError(f"encoder: expected 'simple' and then blocks of {BLOCKS}, got {self.encoder}")
        if self.width < 8 or self.width % 8:
            raise NetworkError(f"width: expected a multiple of 8, got {self.width}")
        if min(self.num_classes, self.in_features, self.num_kernel_points) < 1 or not self.voxel_size > 0:
            raise NetworkError(f"expected positive sizes, got {self}")
        if self.max_neighbors and len(self.max_neighbors) != self.num_levels:
            raise NetworkError(f"max_neighbors: expected {self.num_levels} limits, got {self.max_neighbors}")

    @property
    def num_levels(self) -> int:
        """Levels of the pyramid."""
        return 1 + sum(name.endswith("strided") for name in self.encoder)

    @property
    def radii(self) -> tuple[float, ...]:
        """Neighbourhood radius of the blocks of each level, metres."""
        return self._radii_of("deformable")

    @property
    def pooling_radii(self) -> tuple[float, ...]:
        """Neighbourhood radius of the strided block from each level but the last to the next one, metres."""
        return self._radii_of("deformable_strided")[:-1]

    def build_levels(self, points: Tensor, lengths: Tensor) -> list[Level]:
        """Build the pyramid of packed points ``(N, 3)``."""
        sizes = (self.voxel_size, self.radii, self.max_neighbors, self.pooling_radii)
        return build_pyramid(points, lengths, *sizes)

    def _radii_of(self, wide: str) -> tuple[float, ...]:
        level, levels = 0, set()
        for name in self.encoder:
            levels |= {level} if name == wide else set()
            level += name.endswith("strided")
        ratios = [self.deformable_radius if j in levels else self.radius for j in range(self.num_levels)]
        return tuple(ratio * self.voxel_size * 2**j for j, ratio in enumerate(ratios))


class Encoder(nn.ModuleList):
    """The blocks of a config, from input features to those of the coarsest level."""

    def __init__(self, config: EncoderConfig) -> None:
        """Build the blocks with random weights."""
        super().__init__()
        self.names = config.encoder
        self.widths: list[int] = []
        """Features of each level at its end."""
        level, width = 0, config.in_features
        for name in config.encoder:
            sigma = config.sigma * config.voxel_size * 2**level
            sizes = (sigma, config.num_kernel_points, config.momentum)
            if name == "simple":
                self.append(SimpleBlock(width, config.width // 2, *sizes, config.slope))
                width = config.width // 2
                continue
            strided, deformable = name.endswith("strided"), name.startswith("deformable")
            out = config.width * 2**level
            if strided:
                self.widths.append(width)
            self.append(ResidualBlock(width, out, *sizes, deformable, strided, config.shadow_pooling, config.slope))
            width, level = out, level + strided
        self.widths.append(width)

    def forward(self, levels: list[Level], features: Tensor) -> list[Tensor]:
        """Return the features of each level at its end, ``(N_j, widths[j])``, finest first."""
        ends = dict(self.steps(levels, features))  # of a level, the last one stays
        return list(ends.values())

    def steps(self, levels: list[Level], features: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the level that each block leads to and the features ``(N_level, C)`` that it gives, block by block."""
        level = 0
        for name, block in zip(self.names, self, strict=True):
            strided = name.endswith("strided")
            features = block(features, levels[level].pooling if strided else levels[level].neighborhood)
            level += strided
            yield level, features


def check_features(features: Tensor, points: Tensor, num_features: int) -> None:
    """Raise :class:`NetworkError` unless there are ``num_features`` for each point."""
    expected = (len(points), num_features)
    if features.shape != expected:
        raise NetworkError(f"features: expected {expected}, got {tuple(features.shape)}")


def offset_regularization(network: nn.Module) -> Tensor:
    """Return the summed offset regularisation of the last training forward, Eq. (6); 0 for a rigid network."""
    layers = [module for module in network.modules() if isinstance(module, DeformableKPConv)]
    losses = [layer.regularization for layer in layers if layer.regularization is not None]
    return torch.stack(losses).sum() if losses else next(network.parameters()).new_zeros(())
