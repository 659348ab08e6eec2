# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The samplers that work column by column, by the protocol of all samplers."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig, PatchSamplerNet, anchor_pattern
from kpconv_ros.pipelines.patch_sampler import AnchorSampler, PatchSampler
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.samplers import ALONE, Sampler, SamplingContext
from kpconv_ros.registration.surface import estimate_surface

SMALL = PatchSamplerConfig(slots=6, widths=(16, 32), hidden=(32,), score_width=8, reach=20.0, patch_points=32)


def learned() -> PatchSampler:
    torch.manual_seed(0)
    return PatchSampler(PatchSamplerNet(SMALL).eval())


SAMPLERS = {"learned": learned(), "anchors": AnchorSampler(SMALL)}


@pytest.fixture(params=SAMPLERS)
def sampler(request: pytest.FixtureRequest) -> Sampler:
    return SAMPLERS[request.param]


def street(seed: int = 0) -> np.ndarray:
    """Return ground and a wall, 1.7 m below and 8 m beside the sensor."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(-20, 20, (20_000, 2)), rng.normal(-1.7, 0.01, 20_000)])
    wall = np.column_stack([rng.uniform(-20, 20, 8000), rng.normal(8, 0.01, 8000), rng.uniform(-1.7, 4, 8000)])
    return np.concatenate([ground, wall]).astype(np.float32)


def test_rows_are_distinct_and_a_budget_is_a_prefix(sampler: Sampler) -> None:
    points = street()
    rows = sampler.sample(points, 200)
    assert rows.shape == (200,) and rows.dtype == np.int64 and len(np.unique(rows)) == 200
    for budget in (0, 1, 17, 90):
        np.testing.assert_array_equal(sampler.sample(points, budget), rows[:budget])


def test_anchors_of_all_columns_take_turns() -> None:
    points = street()
    rows = AnchorSampler(SMALL).sample(points, 16)
    cells = np.floor((points[rows, :2] + 20.0) / 10.0)
    assert len(np.unique(cells, axis=0)) == 16


def test_what_the_columns_cannot_give_is_completed_up_to_all_voxels(sampler: Sampler) -> None:
    points = street()[::500]  # 56 points, each in a voxel of its own, some of them too near
    num_far = int((np.linalg.norm(points, axis=1) >= 2.5).sum())
    rows = sampler.sample(points, 1000)
    assert len(rows) == len(np.unique(rows)) == num_far


def test_a_moved_sensor_with_its_pose_gives_the_same_points(sampler: Sampler) -> None:
    """Two scans share the grid by their poses: the same points seen from elsewhere, the same choice of anchors."""
    points, pose = street(), np.eye(4)
    pose[:2, 3] = 0.0
    pose[:3, :3] = Rotation.from_euler("z", 0.3).as_matrix()
    turned = transform_points(pose.T, points).astype(np.float32)  # the same scan from a sensor that is turned
    surface = estimate_surface(points)
    turned_surface = surface._replace(normals=(surface.normals @ pose[:3, :3]).astype(np.float32))
    config = PatchSamplerConfig(slots=6, voxel_size=1e-3, reach=20.0)
    anchors = AnchorSampler(config)
    first = anchors.sample(points, 90, SamplingContext(surface))
    second = anchors.sample(turned, 90, SamplingContext(turned_surface, pose))
    assert len(np.intersect1d(first, second)) >= 88  # rounding may break a tie


def test_anchors_are_the_points_nearest_to_the_pattern() -> None:
    points = street()
    config = PatchSamplerConfig(slots=2, voxel_size=1e-3, reach=20.0)
    rows = AnchorSampler(config).sample(points, 16)
    far = points[np.linalg.norm(points, axis=1) >= 2.5]
    middles = np.stack(np.meshgrid([-15, -5, 5, 15], [-15, -5, 5, 15]), axis=-1).reshape(-1, 2)
    ground = np.percentile(far[np.abs(far[:, :2]).max(1) < 10, 2], 5)
    places = np.column_stack([middles, np.full(16, ground)]) + 10.0 * anchor_pattern(2)[:1]
    distances = np.linalg.norm(points[rows][None] - places[:, None], axis=2).min(1)  # (16,)
    inside = [far[(np.abs(far[:, :2] - middle) <= 5.0).all(1)] for middle in middles]
    expected = [np.linalg.norm(cloud - place, axis=1).min() for cloud, place in zip(inside, places)]
    np.testing.assert_allclose(distances, expected, atol=1e-3)


def test_slots_that_find_what_they_prefer_come_first() -> None:
    points = street()
    leaves = np.random.default_rng(1).uniform([-20, -20, -1.7], [20, -10, 3], (20_000, 3)).astype(np.float32)
    points = np.concatenate([points[points[:, 1] > -10], leaves])
    is_leaf = SAMPLERS["learned"].sample(points, 150) >= len(points) - len(leaves)
    assert is_leaf[:16].sum() <= 1 and is_leaf[100:].mean() > 0.1  # the wall has 4 columns of 3 slots


def test_planes_that_are_given_are_used(sampler: Sampler) -> None:
    points = street()
    np.testing.assert_array_equal(
        sampler.sample(points, 50), sampler.sample(points, 50, SamplingContext(estimate_surface(points)))
    )
    with pytest.raises(RegistrationError, match="surface"):
        sampler.sample(points, 50, SamplingContext(estimate_surface(points[:100])))


def test_edges(sampler: Sampler) -> None:
    assert sampler.sample(np.empty((0, 3), np.float32), 10).shape == (0,)
    assert sampler.sample(np.zeros((5, 3), np.float32), 10).shape == (0,)  # on the sensor itself
    np.testing.assert_array_equal(sampler.sample(np.array([[5.0, 5.0, 0.0]], np.float32), 10), [0])
    same = np.full((30, 3), 5.0, np.float32)
    assert len(sampler.sample(same, 10)) == 1
    outside = street() + np.array([100.0, 0, 0], np.float32)
    rows = sampler.sample(outside, 10)
    assert len(np.unique(rows)) == 10
    for wrong in (np.zeros((3, 2), np.float32), np.full((3, 3), np.nan, np.float32)):
        with pytest.raises(RegistrationError):
            sampler.sample(wrong, 1, ALONE)
    with pytest.raises(RegistrationError, match="num_points"):
        sampler.sample(street(), -1)


def test_the_shipped_sampler_prefers_planes_and_takes_walls() -> None:
    rng = np.random.default_rng(3)
    leaves = rng.uniform([-20, -16, -1.7], [20, -8, 3], (8000, 3)).astype(np.float32)
    points = np.concatenate([street(), leaves])
    rows = PatchSampler.from_pretrained().sample(points, 120)
    kinds = np.digitize(rows, [20_000, 28_000])  # ground, wall, leaves
    share = np.bincount(kinds, minlength=3) / len(rows)
    everywhere = np.bincount(np.digitize(AnchorSampler().sample(points, 120), [20_000, 28_000]), minlength=3) / 120
    assert share[2] < 0.5 * everywhere[2] and share[1] > everywhere[1]
