# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Influences of kernel points on neighbourhoods."""

import pytest
import torch
from random_clouds import random_neighborhood
from torch import Tensor

from kpconv_ros.layers import neighborhood as module
from kpconv_ros.layers.neighborhood import Influences, Neighborhood, find_influences
from reference.kpconv import dense_influences, neighbor_offsets, pad_lists

SIGMA = 0.2


def dense(influences: Influences, num_kernels: int, num_supports: int) -> Tensor:
    """Return the influences as a matrix (M, K, N)."""
    matrix = torch.zeros(len(influences.starts) - 1, num_kernels, num_supports)
    place = (influences.queries(), influences.kernels.long(), influences.columns.long())
    return matrix.index_put(place, influences.weights.float(), accumulate=True)


def expected_influences(neighborhood: Neighborhood, points: Tensor) -> Tensor:
    """Return the same from the dense twin."""
    count = len(neighborhood.supports)
    padded = pad_lists(neighborhood.lists, count)
    found = dense_influences(neighbor_offsets(neighborhood.queries, neighborhood.supports, padded), points, SIGMA)
    matrix = torch.zeros(len(padded), found.shape[1], count + 1)
    return matrix.scatter_(2, padded[:, None].expand(-1, found.shape[1], -1), found)[..., :count]


@pytest.mark.parametrize("find", [module._find_compiled, module._find_dense])
@pytest.mark.parametrize("deformed", [False, True])
def test_the_influences_are_those_of_the_dense_twin(find, deformed: bool) -> None:  # type: ignore[no-untyped-def]
    neighborhood = random_neighborhood(40, 100)
    points = torch.randn(40 if deformed else 1, 15, 3) * 0.2
    influences = find(neighborhood, points, SIGMA)
    assert influences.starts.dtype == torch.int64 and influences.kernels.dtype == torch.uint8
    assert influences.columns.dtype == torch.int32 and influences.weights.dtype == torch.float32
    assert influences.starts.diff()[0] == 0  # the query far away
    expected = expected_influences(neighborhood, points)
    torch.testing.assert_close(dense(influences, 15, 100), expected, atol=2e-5, rtol=0)


def test_layers_with_the_same_kernel_points_share_their_influences() -> None:
    neighborhood, points = random_neighborhood(10, 50), torch.randn(15, 3) * 0.2
    first = neighborhood.influences(points, SIGMA, b"points")
    assert neighborhood.influences(points, SIGMA, b"points") is first
    assert neighborhood.influences(points, 2 * SIGMA, b"others") is not first


@pytest.mark.parametrize("find", [module._find_compiled, module._find_dense])
def test_no_queries_have_no_influences(find) -> None:  # type: ignore[no-untyped-def]
    some = random_neighborhood(1, 20)  # one query, far from everything
    assert find(some, torch.zeros(1, 15, 3), SIGMA).starts.tolist() == [0, 0]
    none = Neighborhood(some.queries[:0], some.supports, some.lists._replace(row_starts=some.lists.row_starts[:1]))
    assert find(none, torch.zeros(1, 15, 3), SIGMA).starts.tolist() == [0]


def test_a_neighbor_on_the_kernel_point_counts_whole_and_one_at_sigma_not_at_all() -> None:
    neighborhood = random_neighborhood(2, 3)
    neighborhood = Neighborhood(
        torch.zeros(1, 3),
        torch.tensor([[0.0, 0, 0], [SIGMA, 0, 0], [SIGMA / 2, 0, 0]]),
        neighborhood.lists._replace(
            row_starts=torch.tensor([0, 3], dtype=torch.int32), columns=torch.arange(3, dtype=torch.int32)
        ),
    )
    influences = find_influences(neighborhood, torch.zeros(1, 1, 3), SIGMA)
    found = dense(influences, 1, 3)[0, 0]
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 0.5]))
