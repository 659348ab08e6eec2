# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SampleNet, S-NET and the progressive sampler."""

from dataclasses import replace

import pytest
import torch

from kpconv_ros.layers.temperature import TemperatureConfig
from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.samplenet import CLASSIFICATION, RECONSTRUCTION, REGISTRATION, SampleNet, SampleNetConfig

SMALL = SampleNetConfig(num_samples=6, point_widths=(8, 16), hidden=(16,), num_neighbors=4)


@pytest.mark.parametrize(("samples", "parameters"), [(32, 225_121), (64, 249_793), (128, 299_137)])
def test_sizes_for_registration_are_the_published_ones(samples: int, parameters: int) -> None:
    config = replace(REGISTRATION, num_samples=samples, temperature=TemperatureConfig("learned", end=0.1))
    assert sum(p.numel() for p in SampleNet(config).parameters()) == parameters


def test_the_other_tasks_differ_where_the_published_code_does() -> None:
    classify, reconstruct = SampleNet(CLASSIFICATION), SampleNet(RECONSTRUCTION)
    assert classify.output_norm is not None and classify.config.num_neighbors == 7
    assert reconstruct.hidden.norms is None and reconstruct.points.norms is not None
    assert [layer.out_features for layer in reconstruct.points.linears] == [64, 128, 128, 256, 128]


def test_samples_are_distinct_rows_whatever_the_order_of_points() -> None:
    torch.manual_seed(0)
    network, points = SampleNet(SMALL).eval(), torch.rand(3, 40, 3)
    rows = network.sample(points)
    assert rows.shape == (3, 6) and all(len(set(cloud)) == 6 for cloud in rows.tolist())
    order = torch.randperm(40)
    assert order[network.sample(points[:, order])].equal(rows)


def test_matched_points_come_first_and_smaller_samples_are_beginnings() -> None:
    torch.manual_seed(0)
    network, points = SampleNet(SMALL).eval(), torch.rand(2, 40, 3)
    nearest = torch.cdist(network.simplify(points), points).argmin(2)
    whole = network.sample(points, 40)
    for cloud in range(2):
        unique = list(dict.fromkeys(nearest[cloud].tolist()))
        assert whole[cloud, : len(unique)].tolist() == unique
        assert sorted(whole[cloud].tolist()) == list(range(40))
    assert network.sample(points, 3).equal(whole[:, :3])


def test_a_fallen_temperature_makes_the_projection_a_sample() -> None:
    torch.manual_seed(0)
    network, points = SampleNet(replace(SMALL, temperature=TemperatureConfig(end=1e-3))).eval(), torch.rand(2, 40, 3)
    network.set_progress(0.0)
    warm = network(points)
    network.set_progress(1.0)
    simplified, cold = network(points)
    nearest = torch.cdist(simplified, points).argmin(2)
    chosen = points.gather(1, nearest[..., None].expand(-1, -1, 3))
    assert torch.allclose(cold, chosen, atol=1e-3) and not torch.allclose(warm.projected, chosen, atol=1e-2)


def test_snet_trains_on_the_simplified_points_themselves() -> None:
    torch.manual_seed(0)
    network, points = SampleNet(replace(SMALL, projection=False)), torch.rand(2, 40, 3)
    simplified, projected = network(points)
    assert projected is simplified
    assert network.eval().sample(points).shape == (2, 6)


def test_gradients_reach_every_parameter_through_the_projection() -> None:
    torch.manual_seed(0)
    network, points = SampleNet(replace(SMALL, temperature=TemperatureConfig("learned", end=0.1))), torch.rand(4, 40, 3)
    network(points).projected.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
    assert network.learned is not None and network.learned.t.grad is not None
    assert network.learned.t.grad.abs() > 0
    assert network.output.weight.grad is not None and network.output.weight.grad.abs().max() > 0


def test_more_points_than_there_are_cannot_be_sampled() -> None:
    with pytest.raises(NetworkError, match="expected 1 to 40, the number of points, got 41"):
        SampleNet(SMALL).eval().sample(torch.rand(1, 40, 3), 41)
