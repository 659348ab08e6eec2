# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a block of an encoder answers, which inputs that depends on, and where its kernel points lie.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.3 and Figures 6 and 7.
"""

from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from kpconv_ros.layers.blocks import ResidualBlock, SimpleBlock
from kpconv_ros.layers.kpconv import DeformableKPConv
from kpconv_ros.networks.encoder import Encoder, EncoderConfig, NetworkError
from kpconv_ros.networks.pyramid import Level


class PlacedKernel(NamedTuple):
    """The kernel of a block at one query, relative to it."""

    points: Tensor
    """Kernel points, deformed if the block is, ``(K, 3)``, metres."""
    rigid_points: Tensor
    """Where they lie before they are deformed, ``(K, 3)``, metres."""
    neighbors: Tensor
    """Neighbours of the query, ``(H, 3)``, metres."""
    weights: Tensor
    """Frobenius norm of the weights of each kernel point, ``(K,)``."""
    sigma: float
    """Influence distance, metres."""


def block_response(encoder: Encoder, levels: list[Level], features: Tensor, block: int) -> tuple[int, Tensor]:
    """Return the level that a block leads to and its response there, ``(N_level, C)``.

    Args:
        encoder: Of the network.
        levels: Pyramid of the input.
        features: Input features, ``(N, in_features)``.
        block: Index of the block, from 0; negative ones count from the end.

    Raises:
        NetworkError: If there is no such block.
    """
    return next(islice(encoder.steps(levels, features), find_block(encoder, block), None))


def find_block(encoder: Encoder, block: int) -> int:
    """Return the index, from 0, of a block that may be counted from the end.

    Raises:
        NetworkError: If there is no such block.
    """
    if not -len(encoder) <= block < len(encoder):
        raise NetworkError(f"block: expected -{len(encoder)} to {len(encoder) - 1}, got {block}")
    return block % len(encoder)


def receptive_field(
    encoder: Encoder, levels: list[Level], features: Tensor, block: int, place: Tensor
) -> tuple[Tensor, Tensor]:
    """Return how much each input matters to the response of a block at one place: its effective receptive field.

    The response is the length of the feature vector; its gradient by the features of an input point is what counts.

    Args:
        encoder: Of the network, in evaluation mode.
        levels: Pyramid of the input.
        features: Input features, ``(N, in_features)``.
        block: As in :func:`block_response`.
        place: ``(3,)``, metres; the point of the block's level that is nearest to it is meant.

    Returns:
        That point, ``(3,)``, metres, and the length of the gradient at each input point, ``(N,)``.

    Raises:
        NetworkError: If there is no such block.
    """
    inputs = features.detach().requires_grad_()
    level, response = block_response(encoder, levels, inputs, block)
    row = nearest_row(levels[level].points, place)
    (gradient,) = torch.autograd.grad(response[row].norm(), inputs)
    return levels[level].points[row], gradient.norm(dim=1)


def receptive_radius(config: EncoderConfig, block: int) -> float:
    """Return the distance, metres, beyond which no input can matter to a block: the radii up to it summed up."""
    level, total = 0, 0.0
    for name in config.encoder[: block + 1]:
        strided = name.endswith("strided")
        total += config.pooling_radii[level] if strided else config.radii[level]
        level += strided
    return total


def spread_to_points(levels: list[Level], level: int, values: Tensor) -> Tensor:
    """Give each input point the value ``(N_level, ...)`` of the point of a level that upsampling takes for it."""
    for finer in reversed(levels[:level]):
        assert finer.coarse_of_fine is not None
        values = values[finer.coarse_of_fine]
    return values


@torch.no_grad()
def placed_kernel(encoder: Encoder, levels: list[Level], features: Tensor, block: int, place: Tensor) -> PlacedKernel:
    """Return the kernel of a block at the query that is nearest to ``place``; arguments as :func:`receptive_field`.

    Raises:
        NetworkError: If there is no such block.
    """
    block = find_block(encoder, block)
    layer = encoder[block]
    assert isinstance(layer, SimpleBlock | ResidualBlock)
    level, seen = (0, features) if block == 0 else block_response(encoder, levels, features, block - 1)
    strided = encoder.names[block].endswith("strided")
    neighborhood = levels[level].pooling if strided else levels[level].neighborhood
    assert neighborhood is not None
    row = nearest_row(neighborhood.queries, place)
    conv, points = layer.conv, layer.conv.kernel_points
    if isinstance(conv, DeformableKPConv):
        assert isinstance(layer, ResidualBlock)
        points = conv.place_kernels(layer.reduce(seen), neighborhood)[row]
    starts = neighborhood.lists.row_starts
    columns = neighborhood.lists.columns[starts[row] : starts[row + 1]].long()
    neighbors = neighborhood.supports[columns] - neighborhood.queries[row]
    return PlacedKernel(points, conv.kernel_points, neighbors, conv.weights.flatten(1).norm(dim=1), conv.sigma)


def nearest_row(points: Tensor, place: Tensor) -> int:
    """Return the row of ``points (N, 3)`` that is nearest to ``place (3,)``."""
    return int((points - place.to(points)).square().sum(1).argmin())
