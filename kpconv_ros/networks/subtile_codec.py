# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A NeuralQAAD for pieces of a street map, with the encoder and the steps of quantisation that belong to it.

The decoder is :class:`kpconv_ros.networks.neural_qaad.NeuralQAAD`. Codes of any rate come from one encoder by a gain
for each number of the code and each level of the rate, as in Cui et al., "Asymmetric Gained Deep Image Compression
With Continuous Rate Adaptation", CVPR 2021, arXiv:2003.02012: numbers that a level cannot afford get a gain near 0.

Note:
    The paper of NeuralQAAD finds codes by descent alone. A map grows while the robot drives, so an encoder gives the
    first guess, and a few steps of descent with the decoder frozen follow.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.codec.tile import TILE_SIZE
from kpconv_ros.config_io import param
from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig

TABLES = ("log_gains", "log_inverse_gains", "centers", "log_scales")
TABLE_RATE = 5.0
"""Tables of gains and distributions learn so many times faster than weights."""
USED_BITS = 0.1
"""A number is not used where its likeliest value takes less, which is then true of more than nine in ten."""
FLOOR, CEILING = -1.0, 5.0
"""Heights above the ground of a sub-tile that the encoder tells apart, metres."""


@dataclass(frozen=True)
class SubtileCodecConfig:
    """Sizes of a :class:`SubtileCodec`."""

    decoder: NeuralQAADConfig = param(NeuralQAADConfig, "sizes of the NeuralQAAD")
    size: float = param(5.0, "edge of a sub-tile, metres", 0.1)
    columns: int = param(10, "columns of the encoder's grid along an edge", 1)
    layers: int = param(12, "cells of a column", 1)
    encoder_widths: tuple[int, ...] = param((512, 256), "hidden layers of the encoder", 1)
    levels: int = param(7, "levels of the rate", 2)
    highest_price: float = param(1.2e-2, "of a bit of a sub-tile at the coarsest level, metres", 1e-9)
    lowest_price: float = param(2e-5, "at the finest level, metres", 1e-9)
    most: int = param(31, "greatest rounded number", 1)

    def __post_init__(self) -> None:
        """Check the size.

        Raises:
            NetworkError: If a tile has no whole number of sub-tiles.
        """
        if abs(self.side * self.size - TILE_SIZE) > 1e-6:
            raise NetworkError(f"size: expected a whole number of sub-tiles in {TILE_SIZE} m, got {self.size}")

    @property
    def side(self) -> int:
        """Sub-tiles along an edge of a tile."""
        return round(TILE_SIZE / self.size)

    @property
    def log_price_step(self) -> float:
        """Logarithm of the ratio of the prices of neighbouring levels."""
        return math.log(self.highest_price / self.lowest_price) / (self.levels - 1)


class SubtileCodec(nn.Module):
    """Encoder, quantisation at several levels of the rate, and NeuralQAAD.

    Attributes:
        decoder: Gives points in units of half an edge.
        log_gains: ``(levels, L)``, of what is rounded; all tables are stored over ``TABLE_RATE``.
        log_inverse_gains: ``(levels, L)``, of what the decoder is given.
        centers: ``(levels, L)``, of the logistic distribution of the rounded numbers, by which training counts bits.
        log_scales: ``(levels, L)``, its width.
    """

    log_gains: nn.Parameter
    log_inverse_gains: nn.Parameter
    centers: nn.Parameter
    log_scales: nn.Parameter

    def __init__(self, config: SubtileCodecConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        widths = [config.columns**2 * (config.layers + 4), *config.encoder_widths, config.decoder.latent_size]
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.decoder = NeuralQAAD(config.decoder)
        for name, table in zip(TABLES, _first_tables(config), strict=True):
            self.register_parameter(name, nn.Parameter(table / TABLE_RATE))

    def encode(self, features: Tensor) -> Tensor:
        """Return codes ``(S, L)`` of what :func:`describe_subtiles` says of sub-tiles ``(S, F)``."""
        *hidden, last = self.encoder
        for layer in hidden:
            features = functional.selu(layer(features))
        codes: Tensor = last(features)
        return codes

    def scale(self, codes: Tensor, levels: Tensor) -> Tensor:
        """Return what is rounded, ``(S, L)``, for levels ``(S,)``, which need not be whole."""
        return (codes * self.gains(levels)).clamp(-self.config.most, self.config.most)

    def gains(self, levels: Tensor) -> Tensor:
        """Return by how much numbers are larger when they are rounded, ``(S, L)``."""
        return _between(self.log_gains, levels).exp()

    def unscale(self, scaled: Tensor, levels: Tensor) -> Tensor:
        """Return what the decoder is given, ``(S, L)``, for rounded numbers."""
        return scaled * _between(self.log_inverse_gains, levels).exp()

    def count_bits(self, scaled: Tensor, levels: Tensor) -> Tensor:
        """Return the bits of each number, ``(S, L)``, in the smooth form that training needs."""
        center, scale = _between(self.centers, levels), _between(self.log_scales, levels).exp()
        offset = (scaled - center).abs()  # in the left tail the difference of the two would be lost in rounding
        share = torch.sigmoid((0.5 - offset) / scale) - torch.sigmoid((-0.5 - offset) / scale)
        return -share.clamp(min=1e-9).log2()

    @torch.no_grad()
    def find_used(self, levels: Tensor) -> Tensor:
        """Return which numbers are more than a guess at levels ``(S,)``: those that are not nearly always the same."""
        return self.count_bits(_between(self.centers, levels).round(), levels) > USED_BITS

    def prices(self, levels: Tensor) -> Tensor:
        """Return what a bit may cost at levels ``(S,)``: metres of mean distance of a sub-tile."""
        return self.config.highest_price * torch.exp(-self.config.log_price_step * levels)

    def decode(self, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return points ``(S, K, p, 3)``, metres from the middle of a sub-tile and its ground."""
        cloud: Tensor = self.decoder.input_cloud
        if rows is not None:
            cloud = cloud.gather(1, rows[..., None].expand(-1, -1, 3))
        points: Tensor = cloud + self.decoder(codes, rows)
        return points * (0.5 * self.config.size)


def _between(table: Tensor, levels: Tensor) -> Tensor:
    """Interpolate the rows of a table ``(levels, L)`` at places ``(S,)``."""
    below = levels.floor().clamp(0, len(table) - 2).long()
    return TABLE_RATE * torch.lerp(table[below], table[below + 1], (levels - below)[:, None])


def _first_tables(config: SubtileCodecConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return first values of the tables: later numbers of the code have smaller gains, the more so at low rates."""
    size = config.decoder.latent_size
    level = torch.linspace(0.0, 1.0, config.levels)[:, None].expand(-1, size)
    place = torch.linspace(0.0, 1.0, size).expand(config.levels, -1)
    log_gains = -1.0 + 2.5 * level - 3.0 * place * (1.0 - level)
    gains = log_gains.exp()
    inverse = (gains / (gains.square() + 1 / 12)).log()  # Wiener's, of a signal of variance 1 and the noise of rounding
    return log_gains, inverse, torch.zeros_like(gains), (0.3 + 0.5 * gains).log()


def describe_subtiles(points: Tensor, counts: Tensor, config: SubtileCodecConfig) -> Tensor:
    """Describe sub-tiles by a grid: how full each cell is, and how many points and which heights a column has.

    Args:
        points: As many of each sub-tile, ``(S, n, 3)``, metres from its middle and ground; some may be repeated.
        counts: Points that each sub-tile has really, ``(S,)``.
        config: Its size and grid.

    Returns:
        ``(S, columns^2 (layers + 4))``.
    """
    side, half, batch = config.columns, 0.5 * config.size, len(points)
    place = ((points[..., :2] + half) * (side / config.size)).long().clamp(0, side - 1)
    layer = ((points[..., 2] - FLOOR) * (config.layers / (CEILING - FLOOR))).long().clamp(0, config.layers - 1)
    column = place[..., 0] * side + place[..., 1]  # (S, n)
    height, shares = points[..., 2].clamp(FLOOR - 1.0, CEILING + 3.0), torch.ones_like(points[..., 2])
    weights = shares * (counts[:, None] / points.shape[1])
    cells = points.new_zeros(batch, side**2 * config.layers).scatter_add_(1, column * config.layers + layer, weights)
    empty = points.new_zeros(batch, side**2)
    number = empty.scatter_add(1, column, shares)
    mean = empty.scatter_add(1, column, height) / number.clamp(min=1)
    top = empty.scatter_reduce(1, column, height, "amax", include_self=False)
    bottom = empty.scatter_reduce(1, column, height, "amin", include_self=False)
    # The factors bring all to about the same size.
    return torch.cat([0.5 * cells.log1p(), 0.3 * number.log1p(), mean, 0.5 * top, bottom], dim=1)


def start_decoder(network: SubtileCodec, cloud: Tensor) -> None:
    """Give the decoder its input cloud, and last layers that at first leave it nearly as it is.

    Args:
        network: To be trained.
        cloud: ``(K, P, 3)``, metres; see :func:`kpconv_ros.networks.neural_qaad.split_into_patches`.
    """
    decoder = network.decoder
    with torch.no_grad():
        decoder.input_cloud.copy_(cloud / (0.5 * network.config.size))
        decoder.of_latent.weight.mul_(0.5)
        decoder.patch[-1].get_parameter("weight").mul_(0.3)
