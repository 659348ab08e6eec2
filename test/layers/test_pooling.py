# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Max pooling over neighbours."""

import torch
from random_clouds import random_neighborhood

from kpconv_ros.geometry.neighbors import NeighborLists
from kpconv_ros.layers.pooling import max_pool
from reference.kpconv import dense_max_pool, pad_lists


def test_the_largest_features_and_their_gradient_are_those_of_the_dense_twin() -> None:
    lists = random_neighborhood(2500, 60).lists  # enough queries for two threads
    for dtype in (torch.float32, torch.float64):
        features = (torch.randn(60, 7, dtype=dtype) - 3).requires_grad_()  # negative: zeros of the padding would win
        out, expected = max_pool(features, lists), dense_max_pool(features, pad_lists(lists, 60))
        assert out.dtype == dtype and out.equal(expected) and out[0].eq(0).all()
        mine, its = (torch.autograd.grad((r * r).sum(), features)[0] for r in (out, expected))
        torch.testing.assert_close(mine, its, atol=1e-4, rtol=1e-5)


def test_bfloat16_features_stay_bfloat16() -> None:
    lists, features = random_neighborhood(20, 60).lists, torch.randn(60, 3).bfloat16()
    out = max_pool(features, lists)
    assert out.dtype == torch.bfloat16
    assert out.float().equal(max_pool(features.float(), lists))


def test_the_gradients_are_right_in_double_precision() -> None:
    lists = random_neighborhood(6, 20).lists
    assert torch.autograd.gradcheck(lambda f: max_pool(f, lists), torch.randn(20, 2).double().requires_grad_())


def test_nothing_pools_to_nothing() -> None:
    lists = random_neighborhood(1, 4).lists
    assert max_pool(torch.ones(4, 2), lists).tolist() == [[0, 0]]
    empty = lists._replace(row_starts=lists.row_starts[:1])
    assert max_pool(torch.ones(4, 2), empty).shape == (0, 2)


def test_with_shadows_short_lists_pool_a_zero_too() -> None:
    lists = NeighborLists(torch.tensor([0, 2, 3, 3], dtype=torch.int32), torch.tensor([0, 1, 0], dtype=torch.int32))
    features = torch.tensor([[-1.0, 2.0], [-3.0, 4.0]])
    assert max_pool(features, lists).tolist() == [[-1, 4], [-1, 2], [0, 0]]
    assert max_pool(features, lists, shadows=True).tolist() == [[-1, 4], [0, 2], [0, 0]]
