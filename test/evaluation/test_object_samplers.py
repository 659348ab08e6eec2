# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to sample the clouds of objects, and what is measured."""

import math

import pytest
import torch
from torch import Tensor, nn

from kpconv_ros.data.object_tasks import TaskBatch
from kpconv_ros.evaluation.object_samplers import (
    complete_sampler,
    farthest_sampler,
    learned_sampler,
    measure,
    random_sampler,
)
from kpconv_ros.evaluation.samplers_command import summarize
from kpconv_ros.geometry.distances import chamfer_distances
from kpconv_ros.geometry.rotations import matrices_of_quaternions
from kpconv_ros.networks.pcrnet import PCRNet, PCRNetConfig
from kpconv_ros.networks.point_autoencoder import PointAutoencoder, PointAutoencoderConfig
from kpconv_ros.networks.pointnet import PointNet, PointNetConfig
from kpconv_ros.networks.samplenet import SampleNet, SampleNetConfig


def about_z(degrees: float) -> Tensor:
    """Return one rotation."""
    half = math.radians(degrees) / 2
    return matrices_of_quaternions(torch.tensor([[math.cos(half), 0.0, 0.0, math.sin(half)]]))


def batch_of(clouds: Tensor, rotations: Tensor | None = None, categories: Tensor | None = None) -> TaskBatch:
    """Return a batch of clouds ``(B, c, n, 3)``."""
    count = len(clouds)
    turns = torch.eye(3).expand(count, 3, 3) if rotations is None else rotations
    labels = torch.zeros(count, dtype=torch.int64) if categories is None else categories
    return TaskBatch(clouds, turns, torch.zeros(count, 3), labels)


def silence(module: nn.Linear, bias: list[float]) -> None:
    """Make a layer answer the same to everything."""
    nn.init.zeros_(module.weight)
    with torch.no_grad():
        module.bias.copy_(torch.tensor(bias))


@pytest.mark.parametrize("make", [random_sampler, farthest_sampler])
def test_samplers_without_a_network_choose_distinct_points_by_their_seed(make) -> None:  # type: ignore[no-untyped-def]
    clouds = torch.rand(3, 50, 3)
    rows, same, other = (make(seed).choose(clouds, 12) for seed in (0, 0, 1))
    assert rows.equal(same) and not rows.equal(other)
    assert all(len(set(cloud)) == 12 for cloud in rows.tolist())
    assert not rows[0].equal(rows[1])


def test_farthest_points_cover_better_than_random_ones() -> None:
    clouds = torch.rand(4, 200, 3)

    def holes(rows: Tensor) -> Tensor:
        return torch.cdist(clouds, clouds.gather(1, rows[..., None].expand(-1, -1, 3))).amin(2).amax(1)

    assert (holes(farthest_sampler(0).choose(clouds, 20)) < holes(random_sampler(0).choose(clouds, 20))).all()


def test_a_network_says_which_sizes_it_may_be_asked_for() -> None:
    sizes = SampleNetConfig(num_samples=8, point_widths=(8,), hidden=(8,), num_neighbors=3)
    assert learned_sampler(SampleNet(sizes).eval(), (), 3)[:3] == ("samplenet", 3, (8,))
    assert learned_sampler(SampleNet(sizes).eval(), (4, 8), 3)[:3] == ("progressive", 3, ())
    without = SampleNetConfig(num_samples=8, point_widths=(8,), hidden=(8,), projection=False)
    assert learned_sampler(SampleNet(without).eval(), (), 3).kind == "snet"


def test_a_rotation_error_is_the_angle_in_degrees() -> None:
    network = PCRNet(PCRNetConfig(point_widths=(4, 4), hidden=(4,))).eval()
    silence(network.motion, [2.0, 0, 0, 0, 0, 0, 0])  # always the identity
    batch = batch_of(torch.rand(2, 2, 9, 3), torch.cat([about_z(30.0), about_z(-4.0)]))
    assert measure(network, batch, complete_sampler().choose, 0).tolist() == pytest.approx([30.0, 4.0], abs=1e-3)


def test_an_accuracy_counts_what_is_right() -> None:
    network = PointNet(PointNetConfig(3, (4,), (4,), (4,), transforms=False)).eval()
    silence(network.classes, [0.0, 5.0, 0.0])
    batch = batch_of(torch.rand(3, 1, 9, 3), categories=torch.tensor([1, 0, 1]))
    assert measure(network, batch, random_sampler(0).choose, 4).tolist() == [1.0, 0.0, 1.0]


def test_a_reconstruction_is_compared_with_the_complete_cloud() -> None:
    network = PointAutoencoder(PointAutoencoderConfig(2, (4,), (4,))).eval()
    silence(network.output, [0.0, 0, 0, 1, 0, 0])
    clouds = torch.rand(2, 1, 9, 3)
    expected = chamfer_distances(torch.tensor([[[0.0, 0, 0], [1, 0, 0]]]).expand(2, 2, 3), clouds[:, 0])
    assert torch.allclose(measure(network, batch_of(clouds), random_sampler(0).choose, 3), expected)


def test_seeds_are_joined_into_mean_and_deviation() -> None:
    rows = [{"sampler": "fps", "points": 8, "seed": seed, "value": value} for seed, value in ((1, 4.0), (0, 2.0))]
    (row,) = summarize(rows)
    assert (row["mean"], row["std_over_seeds"], row["values"], row["seeds"]) == (3.0, 1.4142, [2.0, 4.0], [0, 1])
    (alone,) = summarize(rows[:1])
    assert alone["std_over_seeds"] is None
