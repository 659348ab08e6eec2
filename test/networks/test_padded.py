# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole networks over padded pyramids."""

import copy
from typing import Any

import pytest
import torch
from random_clouds import random_batch
from torch import Tensor

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.layers.kpconv import KPConv
from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.padded import PaddedNetwork, input_names, pad_pyramid

RIGID = ("simple", "residual", "strided", "residual", "strided", "residual")
DEFORMABLE = ("simple", "residual", "deformable_strided", "deformable")
SIZE = 0.25


def make_network(kind: str, encoder: tuple[str, ...] = RIGID, **sizes: Any) -> KPFCNN | KPCNN:
    """Return a small network whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    sizes = {"num_classes": 4, "in_features": 2, "voxel_size": SIZE, "width": 16, "encoder": encoder, **sizes}
    network = KPFCNN(KPFCNNConfig(**sizes)) if kind == "segment" else KPCNN(KPCNNConfig(**sizes, hidden=32))
    for norm in network.modules():
        if isinstance(norm, PackedBatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.1, 0.5)
    return network.eval()


def make_input(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    voxels = grid_subsample(*random_batch(lengths, size=3.0, seed=seed), SIZE)
    return voxels.points, voxels.lengths, torch.stack([voxels.points[:, 2], voxels.points[:, 0].sin()], 1)


@pytest.mark.parametrize("kind", ["segment", "classify"])
@pytest.mark.parametrize(
    ("encoder", "sizes"),
    [(RIGID, {}), (DEFORMABLE, {}), (RIGID, {"shadow_pooling": True}), (RIGID, {"max_neighbors": (9, 7, 5)})],
)
@torch.no_grad()
def test_logits_are_those_of_the_network(kind: str, encoder: tuple[str, ...], sizes: dict[str, Any]) -> None:
    network = make_network(kind, encoder, **sizes)
    padded = PaddedNetwork(network)
    for lengths in ([200, 1, 90], [1], [5]):
        points, counts, features = make_input(lengths)
        levels = network.config.build_levels(points, counts)
        inputs = pad_pyramid(levels, features, kind == "classify")
        assert tuple(inputs) == padded.input_names
        expected = network(points, counts, features)
        torch.testing.assert_close(padded(*inputs.values()), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_layer_with_kernel_points_of_its_own_has_influences_of_its_own() -> None:
    network = make_network("segment")
    conv = network.encoder[1].conv
    assert isinstance(conv, KPConv)
    conv.kernel_points.neg_()
    points, lengths, features = make_input([150])
    inputs = pad_pyramid(network.config.build_levels(points, lengths), features, False).values()
    expected = network(points, lengths, features)
    torch.testing.assert_close(PaddedNetwork(network)(*inputs), expected, atol=1e-5, rtol=1e-5)


def test_the_given_network_is_left_alone() -> None:
    network = make_network("segment")
    before = copy.deepcopy(network.state_dict())
    PaddedNetwork(network)
    after = network.state_dict()
    assert list(after) == list(before) and all(after[name].equal(before[name]) for name in before)


def test_inputs_are_named_by_level() -> None:
    assert input_names(2, False) == (
        *("features", "points_0", "neighbors_0", "points_1", "neighbors_1", "pooling_0", "upsampling_0"),
    )
    assert input_names(2, True)[-2:] == ("pooling_0", "lengths")


def test_a_wrong_number_of_inputs_is_refused() -> None:
    with pytest.raises(NetworkError, match="expected the inputs features, points_0.* got 1 tensors"):
        PaddedNetwork(make_network("segment"))(torch.ones(3, 2))
