# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layers of PointNet."""

import torch
from torch import nn

from kpconv_ros.layers.point_mlp import DenseLayers, pooled_linear


def test_the_pooled_layer_has_values_and_gradients_of_the_plain_maximum() -> None:
    torch.manual_seed(0)
    linear, features = nn.Linear(5, 9), torch.randn(3, 20, 5)
    results = []
    for function in (pooled_linear, lambda x, layer: layer(x).amax(1)):
        inputs = features.clone().requires_grad_()
        linear.zero_grad()
        out = function(inputs, linear)
        (out * torch.arange(27).reshape(3, 9)).sum().backward()
        results.append([out, inputs.grad, linear.weight.grad, linear.bias.grad])
    for fast, plain in zip(*results, strict=True):
        assert torch.allclose(fast, plain, atol=1e-4)


def test_points_are_treated_alike_and_normalised_over_the_batch() -> None:
    torch.manual_seed(0)
    layers = DenseLayers(3, (8, 4), norm=True)
    points = torch.randn(2, 30, 3)
    out = layers(points)
    assert out.shape == (2, 30, 4) and float(out.detach().min()) == 0.0
    order = torch.randperm(30)
    assert torch.allclose(layers(points[:, order]), out[:, order], atol=1e-5)
    assert layers.norms is not None
    before_relu = layers.norms[0](layers.linears[0](points.flatten(0, 1)))
    assert torch.allclose(before_relu.mean(0), torch.zeros(8), atol=1e-5)


def test_without_norm_each_cloud_stands_alone() -> None:
    torch.manual_seed(0)
    layers, points = DenseLayers(3, (8, 4), norm=False), torch.randn(2, 6, 3)
    assert torch.allclose(layers(points)[1:], layers(points[1:]), atol=1e-6)
    assert torch.allclose(layers(points), layers.linears[1](layers.linears[0](points).relu()).relu())
