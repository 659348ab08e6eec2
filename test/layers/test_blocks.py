# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutional blocks."""

import copy

import pytest
import torch
from random_clouds import random_neighborhood
from torch import nn
from torch.nn import functional

from kpconv_ros.layers.blocks import PackedBatchNorm, ResidualBlock, SimpleBlock, Unary, fold_batch_norms
from kpconv_ros.layers.pooling import max_pool

SIGMA, K, MOMENTUM = 0.2, 15, 0.1


def stir(module: nn.Module) -> None:
    """Give every batch norm statistics and factors of its own."""
    for norm in module.modules():
        if isinstance(norm, PackedBatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
                tensor.normal_()
            norm.running_var.uniform_(0.5, 2)


def test_rows_are_normalised_as_torch_does() -> None:
    ours, plain, features = (
        PackedBatchNorm(5, momentum=MOMENTUM),
        nn.BatchNorm1d(5, momentum=MOMENTUM),
        torch.randn(9, 5),
    )
    assert ours(features).equal(plain(features))
    assert ours.running_mean is not None and plain.running_mean is not None
    assert ours.running_mean.equal(plain.running_mean)
    assert ours.eval()(features).equal(plain.eval()(features))


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_row_is_normalised_by_the_running_statistics(count: int) -> None:
    norm = PackedBatchNorm(5, momentum=MOMENTUM).train()
    stir(norm)
    before, features = copy.deepcopy(norm.state_dict()), torch.randn(count, 5)
    out = norm(features)
    assert out.equal(copy.deepcopy(norm).eval()(features)) and out.isfinite().all()
    assert all(tensor.equal(before[name]) for name, tensor in norm.state_dict().items())


def test_a_unary_block_is_a_linear_one_with_norm_and_slope() -> None:
    for linear, slope in ((False, 0.1), (True, 1.0)):
        block, features = Unary(4, 6, MOMENTUM, linear).eval(), torch.randn(10, 4)
        stir(block)
        expected = functional.leaky_relu(block.norm(features @ block.linear.weight.T), slope)
        torch.testing.assert_close(block(features), expected)


def test_upsampling_after_the_product_is_the_same_as_before_it() -> None:
    block, coarse, skip = Unary(7, 6, MOMENTUM).eval(), torch.randn(4, 5), torch.randn(10, 2)
    stir(block)
    nearest = torch.randint(0, 4, (10,))
    expected = block(torch.cat([coarse[nearest], skip], 1))
    torch.testing.assert_close(block.upsample_and_join(coarse, nearest, skip), expected)
    fold_batch_norms(block)
    torch.testing.assert_close(block.upsample_and_join(coarse, nearest, skip), expected)


@pytest.mark.parametrize(("channels", "out_channels"), [(8, 16), (16, 16), (4, 16)])
@pytest.mark.parametrize("deformable", [False, True])
def test_a_residual_block_is_that_of_figure_9(channels: int, out_channels: int, deformable: bool) -> None:
    block = ResidualBlock(channels, out_channels, SIGMA, K, MOMENTUM, deformable, strided=True).eval()
    stir(block)
    assert isinstance(block.reduce, nn.Identity) == (channels == out_channels // 4)
    assert isinstance(block.shortcut, nn.Identity) == (channels == out_channels)
    neighborhood, features = random_neighborhood(20, 50), torch.randn(50, channels)
    middle = functional.leaky_relu(block.norm(block.conv(block.reduce(features), neighborhood)), 0.1)
    shortcut = block.shortcut(max_pool(features, neighborhood.lists))
    expected = functional.leaky_relu(block.expand(middle) + shortcut, 0.1)
    assert expected.shape == (20, out_channels)
    torch.testing.assert_close(block(features.clone(), neighborhood), expected)


@pytest.mark.parametrize("deformable", [False, True])
def test_folding_the_batch_norms_leaves_the_function(deformable: bool) -> None:
    neighborhood, features = random_neighborhood(20, 50), torch.randn(50, 8)
    for block in (
        SimpleBlock(8, 16, SIGMA, K, MOMENTUM),
        ResidualBlock(8, 16, SIGMA, K, MOMENTUM, deformable, strided=True),
    ):
        stir(block.eval())
        before = block(features, neighborhood)
        fold_batch_norms(block)
        assert not any(isinstance(module, PackedBatchNorm) for module in block.modules())
        torch.testing.assert_close(block(features, neighborhood), before, atol=1e-5, rtol=1e-5)
