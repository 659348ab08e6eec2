# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matrix products in bfloat16 on padded rows."""

import pytest
import torch
from torch.nn import functional

from kpconv_ros.layers.low_precision import Linear, linear, listed_rows, pad_rows


def test_listed_rows_are_few_never_less_and_little_more():
    sizes = torch.arange(1, 20_000)
    listed = torch.tensor([listed_rows(int(size)) for size in sizes])
    assert (listed >= sizes).all()
    assert (listed <= (sizes * 1.125 + 16)).all()
    assert len(listed.unique()) < 90
    assert listed_rows(0) == 0


def test_padding_is_zero_and_the_rest_a_copy():
    matrix = torch.randn(37, 5)
    padded = pad_rows(matrix, torch.bfloat16)
    assert padded.shape == (48, 5)
    assert torch.equal(padded[:37], matrix.bfloat16())
    assert not padded[37:].any()


@pytest.mark.parametrize("num_rows", [0, 1, 37, 1000])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_and_its_gradients_are_those_of_torch(num_rows, with_bias):
    torch.manual_seed(0)
    inputs = [torch.randn(num_rows, 24), torch.randn(10, 24), torch.randn(10) if with_bias else None]
    results = []
    for function in (linear, functional.linear):
        leaves = [None if tensor is None else tensor.clone().requires_grad_() for tensor in inputs]
        with torch.autocast("cpu", torch.bfloat16):
            out = function(*leaves)
        assert out.dtype == torch.bfloat16
        out.float().square().sum().backward()
        results.append([out.float(), *(leaf.grad for leaf in leaves if leaf is not None)])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(
            ours, theirs, rtol=2e-2, atol=2e-2 * float(theirs.detach().abs().amax() if len(theirs) else 0)
        )


def test_outside_autocast_and_in_float64_it_is_plain_linear():
    layer = Linear(4, 3)
    features = torch.randn(7, 4)
    assert torch.equal(layer(features), functional.linear(features, layer.weight, layer.bias))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.double()(features.double()).dtype == torch.float64


def test_the_result_may_be_changed_in_place_and_differentiated():
    weight = torch.randn(3, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = linear(torch.randn(5, 4), weight)
        out += linear(torch.randn(5, 4), weight)
    out.sum().backward()
    assert weight.grad.abs().sum() > 0
