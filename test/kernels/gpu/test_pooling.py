# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Max pooling against the dense one."""

import pytest
import torch
from random_clouds import random_neighborhood
from real_clouds import CloudSource

from kpconv_ros.kernels.gpu.kernel_sum import RowLists
from kpconv_ros.kernels.gpu.pooling import max_pool
from reference.kpconv import dense_max_pool, pad_lists


@pytest.mark.parametrize("channels", [3, 70])
def test_pooling_and_its_gradient_are_the_dense_ones(device: torch.device, source: CloudSource, channels: int) -> None:
    hood = random_neighborhood(8, 40, batch=source.batch)
    starts, columns = hood.lists
    lists = RowLists(*(t.contiguous().to(device) for t in (starts[:-1], starts[1:], columns)))
    features = source.features(hood.supports, channels) - 2  # most maxima are negative
    upstream = torch.randn(8, channels, generator=torch.Generator().manual_seed(0))
    ours, theirs = features.clone().to(device).requires_grad_(), features.clone().requires_grad_()
    out, expected = max_pool(ours, lists), dense_max_pool(theirs, pad_lists(hood.lists, 40))
    assert out.cpu().equal(expected) and (out[0] == 0).all() and out.min() < -0.5
    out.backward(upstream.to(device))
    expected.backward(upstream)
    assert ours.grad is not None and theirs.grad is not None
    torch.testing.assert_close(ours.grad.cpu(), theirs.grad)


def test_half_precision_is_exact_and_no_queries_give_no_rows(device: torch.device) -> None:
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).bfloat16().to(device)
    ends = torch.tensor([2, 5], dtype=torch.int32, device=device)
    lists = RowLists(ends - ends.diff(prepend=ends[:1] * 0).int(), ends, torch.arange(5, dtype=torch.int32).to(device))
    assert max_pool(features, lists).equal(torch.stack([features[:2].amax(0), features[2:].amax(0)]))
    assert max_pool(features, RowLists(ends[:0], ends[:0], lists.columns)).shape == (0, 4)
