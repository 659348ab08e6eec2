# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""AtlasNetV2's decoder and the encoder of codes."""

import pytest
import torch
from torch.nn import functional

from kpconv_ros.networks.atlasnet_v2 import AtlasNetV2, AtlasNetV2Config
from kpconv_ros.networks.code_encoder import CodeEncoder, CodeEncoderConfig
from kpconv_ros.networks.encoder import NetworkError


def test_patches_are_folded_as_by_a_network_of_their_own() -> None:
    torch.manual_seed(0)
    network = AtlasNetV2(AtlasNetV2Config(3, 5, 4, (8, 7))).double()
    latents, rows = torch.randn(2, 4).double(), torch.tensor([[4, 0], [1, 2], [3, 3]])
    found = network(latents, rows)
    for patch in range(3):
        points = network.input_cloud[patch, rows[patch]].expand(2, -1, -1)
        hidden = torch.cat([latents[:, None].expand(-1, 2, -1), points], 2)
        weight = torch.cat([network.of_latent.weight[patch], network.of_point.weight[patch]])
        hidden = hidden @ weight + network.of_latent.bias[patch]
        for layer in network.layers:
            hidden = functional.selu(hidden) @ layer.weight[patch] + layer.bias[patch]
        torch.testing.assert_close(found[:, patch], hidden)
    assert network(latents).shape == (2, 3, 5, 3)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_paper_s_layers_have_their_number_of_weights() -> None:
    network = AtlasNetV2(AtlasNetV2Config(12, 640, 32))
    of_patch = 35 * 128 + 128 + 3 * (128 * 128 + 128) + 128 * 3 + 3
    assert sum(p.numel() for p in network.parameters()) == 12 * (of_patch + 640 * 3)
    with pytest.raises(NetworkError, match="at least one layer"):
        AtlasNetV2Config(widths=())


def test_codes_do_not_depend_on_the_order_of_the_points() -> None:
    torch.manual_seed(0)
    encoder = CodeEncoder(CodeEncoderConfig(6, (16, 24)))
    cloud = torch.randn(3, 40, 3)
    codes = encoder(cloud)
    assert codes.shape == (3, 6)
    torch.testing.assert_close(encoder(cloud[:, torch.randperm(40)]), codes)
    torch.testing.assert_close(torch.cat([encoder(one[None]) for one in cloud]), codes)
    assert float((codes[0] - codes[1]).detach().abs().max()) > 1e-3
