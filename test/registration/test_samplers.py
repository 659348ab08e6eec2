# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samplers made by hand."""

import numpy as np
import pytest
import torch
from rooms import sample_room

from kpconv_ros.geometry.se3 import motion_of_twist, transform_points, twist_of_motion
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.samplers import (
    SAMPLERS,
    FarthestPointSampler,
    NormalSpaceSampler,
    PlanarVoxelSampler,
    SamplingContext,
    VoxelSampler,
    make_sampler,
    take_turns,
)
from kpconv_ros.registration.solver import SolverConfig, Target, register
from kpconv_ros.registration.surface import Surface, estimate_surface

POINTS = sample_room(6000, 0, 0.01)
EACH = pytest.mark.parametrize("name", SAMPLERS)


def generator(seed: int) -> SamplingContext:
    return SamplingContext(generator=torch.Generator().manual_seed(seed))


@EACH
def test_rows_are_of_the_scan_and_differ(name: str) -> None:
    rows = make_sampler(name).sample(POINTS, 300)
    assert rows.dtype == np.int64 and len(rows) == (len(POINTS) if name == "none" else 300)
    assert len(np.unique(rows)) == len(rows) and rows.min() >= 0 and rows.max() < len(POINTS)


@EACH
def test_a_smaller_budget_is_a_prefix(name: str) -> None:
    sampler = make_sampler(name)
    many, few = sampler.sample(POINTS, 300, generator(3)), sampler.sample(POINTS, 90, generator(3))
    np.testing.assert_array_equal(many[: len(few)], few)
    nearly_all = sampler.sample(POINTS, 5000, generator(3))
    np.testing.assert_array_equal(nearly_all[:300], many[:300])


@EACH
def test_the_same_seed_gives_the_same_rows(name: str) -> None:
    sampler = make_sampler(name)
    first, again, other = (sampler.sample(POINTS, 100, generator(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@EACH
def test_no_points_and_no_budget_give_no_rows(name: str) -> None:
    assert make_sampler(name).sample(np.zeros((0, 3), np.float32), 10).shape == (0,)
    assert name == "none" or make_sampler(name).sample(POINTS, 0).shape == (0,)


@EACH
def test_more_points_than_there_are_give_each_at_most_once(name: str) -> None:
    rows = make_sampler(name).sample(POINTS[:50], 100)
    assert len(rows) <= 50 and len(np.unique(rows)) == len(rows)


@EACH
def test_points_that_are_not_finite_and_negative_budgets_are_refused(name: str) -> None:
    spoilt = POINTS.copy()
    spoilt[5, 1] = np.inf
    with pytest.raises(RegistrationError, match="finite"):
        make_sampler(name).sample(spoilt, 10)
    with pytest.raises(RegistrationError, match="0 or more, got -1"):
        make_sampler(name).sample(POINTS, -1)


def test_farthest_points_are_farther_apart_than_random_ones() -> None:
    def least_distance(name: str) -> float:
        chosen = POINTS[make_sampler(name).sample(POINTS, 60)]
        apart = np.linalg.norm(chosen[:, None] - chosen[None], axis=2) + 1e9 * np.eye(len(chosen))
        return float(apart.min())

    assert isinstance(make_sampler("fps"), FarthestPointSampler)
    assert least_distance("fps") > 3 * least_distance("random")


def test_a_voxel_gives_the_point_nearest_to_its_centroid() -> None:
    points = np.array([[0.1, 0.1, 0.1], [0.5, 0.5, 0.5], [0.8, 0.8, 0.8], [5.5, 0.5, 0.5]], np.float32)
    rows = VoxelSampler(coarsest=1.0, finest=1.0 / 64).sample(points, 2)
    assert sorted(rows.tolist()) == [1, 3]


def test_coarse_voxels_come_before_fine_ones() -> None:
    sampler = VoxelSampler(coarsest=8.0, finest=0.25)
    coarse = sampler.sample(POINTS, 10_000)
    cells = np.floor(POINTS / 8.0).astype(int)
    num_cells = len(np.unique(cells, axis=0))
    assert len(np.unique(cells[coarse[:num_cells]], axis=0)) == num_cells


def test_a_grid_in_the_shared_frame_stays_with_the_world_when_the_sensor_moves() -> None:
    pose = motion_of_twist(np.array([0.37, -0.21, 0.1, 0.0, 0.0, 0.3]))  # T_world_sensor
    seen = transform_points(np.linalg.inv(pose), POINTS).astype(np.float32)
    sampler = VoxelSampler()
    still = sampler.sample(POINTS, 200)
    shared = sampler.sample(seen, 200, SamplingContext(T_frame_sensor=pose))
    own = sampler.sample(seen, 200)
    assert len(np.intersect1d(still, shared)) > 180 > 100 > len(np.intersect1d(still, own))


def test_normal_space_sampling_sees_the_end_walls_as_often_as_the_others() -> None:
    points = np.concatenate([POINTS, sample_room(30_000, 1, corridor=True)])  # far more floor and side walls
    surface = estimate_surface(points)
    rows = NormalSpaceSampler().sample(points, 400, SamplingContext(surface))
    along_x = np.abs(surface.normals[:, 0]) > 0.9
    assert along_x[rows].mean() > 1.5 * along_x.mean()


def test_the_gate_leaves_out_what_lies_on_no_plane() -> None:
    rng = np.random.default_rng(0)
    bush = rng.normal([0, 0, 1], 0.7, (2000, 3)).astype(np.float32)
    points = np.concatenate([sample_room(20_000, 2), bush])
    surface = estimate_surface(points)
    rows = PlanarVoxelSampler().sample(points, 400, SamplingContext(surface))
    assert surface.variation[rows].max() < 0.01
    assert (np.linalg.norm(points[rows] - [0, 0, 1], axis=1) < 1.0).sum() == 0
    is_ground = np.abs(surface.normals[rows, 2]) > 0.8
    np.testing.assert_array_equal(is_ground[:100], np.arange(100) % 2 == 1)  # walls and ground take turns


def test_a_surface_is_asked_for_only_by_those_who_need_it() -> None:
    asked = []

    def surface() -> Surface:
        asked.append(1)
        return estimate_surface(POINTS)

    for name, times in (("random", 0), ("voxel", 0), ("nss", 1), ("planar_voxel", 1)):
        asked.clear()
        rows = make_sampler(name).sample(POINTS, 50, SamplingContext(surface))
        np.testing.assert_array_equal(rows, make_sampler(name).sample(POINTS, 50))
        assert len(asked) == times


def test_a_surface_of_other_points_is_refused() -> None:
    surface = Surface(np.zeros((3, 3), np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32))
    with pytest.raises(RegistrationError, match="expected 6000 points, got 3"):
        NormalSpaceSampler().sample(POINTS, 10, SamplingContext(surface))


def test_groups_take_turns_in_the_order_of_their_rows() -> None:
    rows = take_turns(np.array([10, 11, 12, 13, 14]), np.array([0, 0, 0, 1, 1]))
    assert [sorted(rows[i : i + 2].tolist()) for i in (0, 2)] == [[10, 13], [11, 14]] and rows[4] == 12


def test_an_unknown_sampler_is_refused_by_name() -> None:
    with pytest.raises(RegistrationError, match="planar_voxel, got 'magic'"):
        make_sampler("magic")


@pytest.mark.parametrize("name", ["random", "fps", "voxel", "nss", "planar_voxel"])
def test_no_sampler_shrinks_an_injected_offset(name: str) -> None:
    """A grid that both clouds share may hold registration fast at its guess; planes and a dense target must not."""
    offset = motion_of_twist(np.array([0.5, -0.4, 0.1, 0.0, 0.0, 0.04]))
    target = Target(sample_room(20_000, 5, 0.01), SolverConfig())
    source = transform_points(np.linalg.inv(offset), sample_room(20_000, 6, 0.01)).astype(np.float32)
    pose = np.eye(4)
    for _ in range(2):
        rows = make_sampler(name).sample(source, 500, SamplingContext(T_frame_sensor=pose))
        pose = register(source[rows], target, pose).T_target_source
    shrinkage = (twist_of_motion(pose) @ twist_of_motion(offset)) / np.square(twist_of_motion(offset)).sum()
    assert shrinkage == pytest.approx(1.0, abs=0.02)
