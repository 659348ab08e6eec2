# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense supervision propagation."""

import numpy as np
import pytest
import torch
from random_clouds import random_batch
from torch import Tensor

from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.feature_reallocation import FeatureReallocation
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.training.propagation import pair_clouds, propagate, weaken_labels

ENCODER = ("simple", "residual", "strided", "residual", "strided", "residual")


@pytest.fixture
def network() -> KPFCNN:
    torch.manual_seed(0)
    return KPFCNN(KPFCNNConfig(3, 1, 0.25, width=16, encoder=ENCODER))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    voxels = grid_subsample(*random_batch([150, 120, 90], size=2.0, seed=0), 0.25)
    return voxels.points, voxels.lengths, torch.ones(len(voxels.points), 1)


def test_the_original_branch_is_the_network_itself(network: KPFCNN, batch: tuple[Tensor, ...]) -> None:
    network.eval()
    points, lengths, features = batch
    levels = network.build_levels(points, lengths)
    branches = propagate(network, FeatureReallocation(32), levels, features, [1, 0, -1])
    torch.testing.assert_close(branches.original, network(*batch))
    one, other, alone = lengths.tolist()
    assert branches.rows.tolist() == [True] * (one + other) + [False] * alone
    torch.testing.assert_close(branches.reallocated[one + other :], branches.original[one + other :])
    assert float((branches.reallocated - branches.original)[: one + other].detach().abs().max()) > 1e-3
    expected = (branches.original - branches.reallocated)[: one + other].square().mean()
    assert branches.gap().item() == pytest.approx(expected.item())
    assert branches.gap(torch.tensor(2.0 * (one + other))).item() == pytest.approx(expected.item() / 2)
    nobody = propagate(network, FeatureReallocation(32), levels, features, [-1, -1, -1])
    assert nobody.gap().item() == nobody.gap(torch.tensor(0.0)).item() == 0
    nobody.gap().backward()
    assert all(p.grad is None or not p.grad.any() for p in network.parameters())


def test_features_come_from_the_partner_alone(network: KPFCNN, batch: tuple[Tensor, ...]) -> None:
    network.eval()
    points, lengths, features = batch
    levels, module = network.build_levels(points, lengths), FeatureReallocation(32)
    first = lengths.tolist()[0]
    before = propagate(network, module, levels, features, [1, 0, -1]).reallocated[:first]
    changed = features.clone()
    changed[first + lengths.tolist()[1] :] += 1.0  # of the third cloud
    assert propagate(network, module, levels, changed, [1, 0, -1]).reallocated[:first].equal(before)
    assert not propagate(network, module, levels, changed, [2, -1, 0]).reallocated[:first].equal(before)


def test_labels_of_one_cloud_reach_the_other_only_by_reallocation(network: KPFCNN, batch: tuple[Tensor, ...]) -> None:
    network.eval()  # batch norms would mix the clouds
    points, lengths, features = batch
    features = features.clone().requires_grad_()
    levels, first = network.build_levels(points, lengths), int(lengths[0])
    branches = propagate(network, FeatureReallocation(32), levels, features, [1, 0, -1])
    of_original = torch.autograd.grad(branches.original[:first].sum(), features, retain_graph=True)[0]
    of_other = torch.autograd.grad(branches.reallocated[:first].sum(), features)[0]
    second = slice(first, first + int(lengths[1]))
    assert of_original[second].abs().max() == 0 and of_other[second].abs().max() > 0


def test_training_closes_the_gap_between_the_branches(network: KPFCNN, batch: tuple[Tensor, ...]) -> None:
    points, lengths, features = batch
    levels, module = network.build_levels(points, lengths), FeatureReallocation(32)
    labels = (points[:, 2] > points[:, 2].median()).long()
    optimizer = torch.optim.Adam([*network.parameters(), *module.parameters()], 3e-3)
    gaps = []
    for _ in range(40):
        branches = propagate(network, module, levels, features, [0, 1, 2])
        loss = torch.nn.functional.cross_entropy(branches.original, labels) + branches.gap()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        gaps.append(float(branches.gap().detach()))
    assert max(gaps[5:15]) > 0 and np.mean(gaps[-5:]) < np.mean(gaps[:15])


def test_pairs_share_a_class_and_the_rest_is_left_over() -> None:
    labels = torch.tensor([0, 0, 1, -1, 1, 2, 0, 2, -1])
    lengths = torch.tensor([2, 2, 1, 1, 2, 1])  # {0} {1} {1} {2} {0, 2} {}
    assert pair_clouds(labels, lengths) == [4, 2, 1, -1, 0, -1]
    assert pair_clouds(labels[:0], lengths[:0]) == []


def test_a_share_of_each_class_keeps_its_label() -> None:
    labels = np.repeat(np.array([0, 1, 2, 3], np.uint8), [50, 1000, 200, 3])
    weak = weaken_labels(labels, 0.1, np.random.default_rng(0))
    assert np.bincount(weak, minlength=4).tolist() == [1253 - 121, 100, 20, 1]
    assert (weak[weak > 0] == labels[weak > 0]).all()
    assert not (weak == weaken_labels(labels, 0.1, np.random.default_rng(1))).all()
    assert weaken_labels(labels, 1.0, np.random.default_rng(0)).tolist() == labels.tolist()
