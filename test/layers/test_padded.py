# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convolution and pooling over padded neighbours."""

import pytest
import torch
from random_clouds import random_neighborhood

from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
from kpconv_ros.layers.padded import PaddedNeighborhood, padded_influences, padded_kpconv, padded_max_pool
from kpconv_ros.layers.pooling import max_pool


def pad(neighborhood: object) -> PaddedNeighborhood:
    queries, supports = neighborhood.queries, neighborhood.supports  # type: ignore[attr-defined]
    return PaddedNeighborhood(queries, supports, neighborhood.lists.padded(len(supports)))  # type: ignore[attr-defined]


def test_influences_are_those_written_by_hand() -> None:
    supports = torch.tensor([[1.0, 0, 0], [1.5, 0, 0], [0, 0, 1.0]])
    hood = PaddedNeighborhood(torch.tensor([[1.0, 0, 0]]), supports, torch.tensor([[0, 1, 2, 3]]))
    kernel_points = torch.tensor([[[0.0, 0, 0], [0.5, 0, 0]]])
    expected = [[[1.0, 0.5, 0, 0], [0.5, 1.0, 0, 0]]]  # (M, K, H): the third lies beyond sigma, the last is a shadow
    assert padded_influences(hood, kernel_points, 1.0).tolist() == expected


@pytest.mark.parametrize("kind", [KPConv, DeformableKPConv])
def test_a_layer_gives_the_same_over_padded_neighbours(kind: type[KPConv | DeformableKPConv]) -> None:
    torch.manual_seed(0)
    layer, hood, features = kind(6, 5, 0.2).eval(), random_neighborhood(40, 120), torch.randn(120, 6)
    layer.bias = torch.nn.Parameter(torch.randn(5))
    expected = layer(features, hood)
    torch.testing.assert_close(padded_kpconv(layer, features, pad(hood)), expected, atol=1e-5, rtol=1e-5)
    assert padded_kpconv(layer, features, pad(hood))[0].equal(layer.bias)  # the first query has no neighbours


@pytest.mark.parametrize("shadows", [False, True])
def test_pooling_gives_the_same_over_padded_neighbours(shadows: bool) -> None:
    hood, features = random_neighborhood(40, 120), torch.randn(120, 6, generator=torch.Generator().manual_seed(0)) - 2
    pooled = padded_max_pool(features, pad(hood).neighbors, shadows)
    assert pooled.equal(max_pool(features, hood.lists, shadows)) and not pooled[0].any()
    assert pooled.equal(padded_max_pool(features, pad(hood).neighbors, not shadows)) is False
