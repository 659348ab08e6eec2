# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SampleNet for columns of a scan."""

import pytest
import torch
from torch import Tensor

from kpconv_ros.config_io import ConfigError
from kpconv_ros.layers.soft_projection import project, project_normals, soft_project
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig, PatchSamplerNet, anchor_pattern

SMALL = PatchSamplerConfig(slots=4, widths=(16, 32), hidden=(32,), score_width=8, patch_points=12)


def network(with_score: bool = True) -> PatchSamplerNet:
    """Return a network, whose score may be 0 everywhere."""
    torch.manual_seed(0)
    made = PatchSamplerNet(SMALL)
    if not with_score:
        torch.nn.init.zeros_(made.score[2].weight)
        torch.nn.init.zeros_(made.score[2].bias)
    return made.eval()


def columns(count: int = 3, size: int = 20, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return patches ``(C, n, 9)`` and normals in one half of space ``(C, n, 3)``."""
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(count, size, 9, generator=generator)
    patches[..., :3] *= 0.3
    normals = torch.randn(count, size, 3, generator=generator) + torch.tensor([4.0, 0, 0])
    return patches, torch.nn.functional.normalize(normals, dim=2)


def test_an_untrained_network_looks_at_the_anchors() -> None:
    with torch.no_grad():
        queries = network()(columns()[0])
    assert queries.shape == (3, 4, 3)
    assert (queries - torch.from_numpy(anchor_pattern(4))).abs().max() < 1e-6


def test_the_order_of_the_points_does_not_matter() -> None:
    patches, _ = columns()
    with torch.no_grad():
        torch.testing.assert_close(network()(patches), network()(patches.flip(1)))


def test_columns_do_not_see_each_other() -> None:
    patches, _ = columns()
    with torch.no_grad():
        torch.testing.assert_close(network()(patches)[1:2], network()(patches[1:2]))


def test_without_a_score_the_projection_is_that_of_the_paper() -> None:
    (patches, normals), made = columns(), network(with_score=False)
    with torch.no_grad():
        got = made.project(patches, normals, 0.4)
        expected = soft_project(got.queries, patches[..., :3].contiguous(), 20, 0.4)
    torch.testing.assert_close(got.points, project(expected, patches[..., :3]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got.normals, project_normals(expected, normals), atol=1e-5, rtol=1e-4)


def test_the_score_draws_a_slot_to_the_point_that_it_prefers() -> None:
    (patches, normals), made = columns(), network()
    with torch.no_grad():
        made.score[2].weight.normal_().mul_(1e4)  # outweighs every distance
        got = made.project(patches, normals, 0.1)
        best = made.score_points(patches[..., 3:]).argmax(1)  # (C, m)
    expected = patches[torch.arange(3)[:, None], best, :3]
    torch.testing.assert_close(got.points, expected)


def test_the_score_starts_as_a_preference_for_planes_of_either_kind() -> None:
    # log variation, planarity, |n_z|, height, log range, cosine
    wall = [-1.0, 0.6, 0.02, 0.5, 0.0, 0.5]
    ground = [-1.0, 0.6, 1.0, 0.0, 0.0, 0.3]
    leaves, line = [1.3, 0.2, 0.4, 0.5, 0.0, 0.5], [-1.0, 0.0, 0.02, 0.5, 0.0, 0.5]
    with torch.no_grad():
        scores = network().score_points(torch.tensor([wall, ground, leaves, line]))  # (4, m)
    assert (scores[0, 1::2] > scores[1, 1::2] + 0.3).all() and (scores[1, 0::2] > scores[0, 0::2] + 0.3).all()
    assert (scores[2] < scores[:2].amax(0) - 0.4).all() and (scores[3, 1::2] < scores[0, 1::2] - 0.15).all()
    assert (scores[0, 1] > scores[0, 3]) and (scores[1, 0] > scores[1, 2])  # columns take turns


def test_gains_tell_how_well_a_slot_found_what_it_prefers() -> None:
    (patches, normals), made = columns(), network()
    with torch.no_grad():
        got = made.project(patches, normals, 1e-3)  # as good as a choice
        square = (got.queries[:, :, None] - patches[:, None, :, :3]).square().sum(3)
        expected = (made.score_points(patches[..., 3:]).transpose(1, 2) - square).amax(2)
    torch.testing.assert_close(got.gains, expected, atol=1e-4, rtol=1e-4)


def test_the_projection_reaches_all_weights() -> None:
    (patches, normals), made = columns(), network().train()
    got = made.project(patches, normals, 0.3)
    (got.points.square().sum() + got.normals[..., 0].sum()).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in made.parameters())
    assert made.score[0].weight.grad.abs().max() > 0 and made.offsets.weight.grad.abs().max() > 0


def test_prefixes_of_the_anchors_are_spread_over_the_column() -> None:
    whole = torch.from_numpy(anchor_pattern(16))
    torch.testing.assert_close(whole[:8], torch.from_numpy(anchor_pattern(8)))
    assert whole[:, :2].abs().max() <= 0.5 and torch.equal(whole[:, 2] > 0.1, torch.arange(16) % 2 == 1)
    quadrants = (whole[:8, :2] > 0).int() @ torch.tensor([1, 2], dtype=torch.int32)
    assert len(quadrants.unique()) == 4
    gaps = torch.cdist(whole[:8, :2], whole[:8, :2]) + torch.eye(8) * 9
    assert gaps.min() > 0.15


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="reach"):
        PatchSamplerConfig(reach=33.0)
    with pytest.raises(ConfigError, match="widths"):
        PatchSamplerConfig(widths=())
    with pytest.raises(ConfigError, match="slots"):
        PatchSamplerConfig(slots=3)
