# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Picking of spheres, votes, and labels of points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting, SphereVotingConfig

CONFIG = SphereVotingConfig(voxel_size=0.2, sphere_radius=2.0, segment_range=15.0, potential_memory=math.inf)
SENSOR = np.zeros(3)


def ground(extent: float = 10.0, step: float = 0.1, offset: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    x, y = np.meshgrid(np.arange(-extent, extent, step) + offset[0], np.arange(-extent, extent, step) + offset[1])
    return np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)


def voting_on(points: np.ndarray, config: SphereVotingConfig = CONFIG) -> tuple[SphereVoting, np.ndarray]:
    voting = SphereVoting(config, num_classes=3)
    return voting, voting.insert(points, None, 0.0, SENSOR)


def run_sphere(voting: SphereVoting, label: int = 1) -> PickedSphere:
    picked = voting.propose_sphere()
    assert picked is not None
    voting.accept(picked)
    probabilities = np.zeros((len(picked.sphere.voxels), 3), np.float32)
    probabilities[:, label - 1] = 1.0
    voting.add_votes(picked, probabilities)
    return picked


def test_each_place_is_tested_as_often_as_asked_and_evenly() -> None:
    config = SphereVotingConfig(
        voxel_size=0.2, sphere_radius=2.0, segment_range=15.0, potential_memory=math.inf, max_potential=3.0
    )
    voting, _ = voting_on(ground(), config)
    num_spheres = 0
    while voting.propose_sphere():
        run_sphere(voting)
        num_spheres += 1
    potential = voting.cells.potential
    assert potential.min() >= 3.0 and potential.max() < 6.0
    assert num_spheres < 3 * 400 / (math.pi * 2.0**2) * 5  # a disc's mean Tukey weight is 1/3; some overlap


def test_the_potential_rises_by_tukeys_weight() -> None:
    voting, _ = voting_on(ground())
    before = voting.cells.potential.copy()
    picked = run_sphere(voting)
    distance = np.linalg.norm(voting.cells.points - picked.center, axis=1)
    expected = np.where(distance < 2.0, (1 - (distance / 2.0) ** 2) ** 2, 0.0)
    np.testing.assert_allclose(voting.cells.potential - before, expected, atol=1e-5)


def test_a_proposed_sphere_stays_the_next_until_it_is_accepted() -> None:
    voting, _ = voting_on(ground())
    first, again = voting.propose_sphere(), voting.propose_sphere()
    assert first is not None and again is not None
    np.testing.assert_array_equal(first.center, again.center)
    voting.accept(first)
    other = voting.propose_sphere()
    assert other is not None and np.linalg.norm(other.center - first.center) > 1.0


def test_spheres_are_picked_within_range_of_the_sensor() -> None:
    config = SphereVotingConfig(voxel_size=0.2, sphere_radius=2.0, segment_range=4.0, max_potential=1.0)
    voting, _ = voting_on(ground(), config)
    centers = []
    while voting.propose_sphere():
        centers.append(run_sphere(voting).center)
    assert max(np.linalg.norm(center) for center in centers) <= 4.0


def test_new_geometry_is_served_first_and_what_is_in_sight_before_the_rest() -> None:
    voting, _ = voting_on(ground(4.0))
    for _ in range(60):
        run_sphere(voting)
    voting.insert(ground(1.0, offset=(8.0, 0.0)), None, 0.1, SENSOR)
    assert abs(run_sphere(voting).center[0] - 8.0) < 1.1
    voting.insert(ground(4.0), None, 0.2, SENSOR)
    lowest = voting.cells.seen[np.argmin(voting.cells.potential[voting.cells.seen])]
    voting.cells.potential[lowest] = 0.4
    np.testing.assert_array_equal(run_sphere(voting).center, voting.cells.points[lowest])


def test_a_patch_that_waits_goes_before_single_echoes_far_away() -> None:
    echoes = np.random.default_rng(0).uniform(-1, 1, (30, 3)) * (14, 14, 3)
    echoes = echoes[np.linalg.norm(echoes, axis=1) > 7.0]
    voting, _ = voting_on(np.concatenate([echoes, ground(2.0)]))
    assert np.linalg.norm(run_sphere(voting).center) < 3.0


def test_potentials_fade_with_time() -> None:
    config = SphereVotingConfig(voxel_size=0.2, sphere_radius=2.0, potential_memory=2.0)
    voting, _ = voting_on(ground(2.0), config)
    run_sphere(voting)
    highest = voting.cells.potential.max()
    voting.insert(ground(2.0), None, 2.0, SENSOR)
    assert voting.cells.potential.max() == pytest.approx(highest / math.e, rel=1e-5)


def test_a_sphere_that_is_too_full_keeps_the_nearest_and_reaches_less_far() -> None:
    config = SphereVotingConfig(voxel_size=0.2, sphere_radius=2.0, max_sphere_points=100)
    voting, _ = voting_on(ground(), config)
    picked = voting.propose_sphere()
    assert picked is not None and len(picked.sphere.voxels) == 100
    assert picked.reach == pytest.approx(np.linalg.norm(picked.sphere.points, axis=1).max())
    assert picked.reach < 1.6


def test_votes_are_a_mean_weighted_by_the_distance_to_the_centre() -> None:
    voting, _ = voting_on(np.array([[0.1, 0.1, 0.1], [1.5, 0.1, 0.1]]))
    sphere = voting.voxels.gather(np.array([0.1, 0.1, 0.1]), 2.0)
    picked = PickedSphere(sphere, np.array([0.1, 0.1, 0.1]), 2.0)
    voting.add_votes(picked, np.array([[1.0, 0, 0], [1, 0, 0]]))
    voting.add_votes(picked, np.array([[0, 1.0, 0], [0, 1, 0]]))
    np.testing.assert_allclose(voting.voxels.vote_weight, [2.0, 2 * (1 - 0.49) ** 2], rtol=1e-5)
    shares = voting.voxels.votes / voting.voxels.vote_weight[:, None]
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0], [0.5, 0.5, 0]], atol=1e-6)


def test_old_votes_fade_once_the_memory_is_full() -> None:
    config = SphereVotingConfig(voxel_size=0.2, sphere_radius=2.0, vote_memory=4.0)
    voting, rows = voting_on(np.array([[0.1, 0.1, 0.1]]), config)
    picked = PickedSphere(voting.voxels.gather(voting.voxels.points[0], 2.0), voting.voxels.points[0], 2.0)
    for _ in range(20):
        voting.add_votes(picked, np.array([[1.0, 0, 0]]))
    for _ in range(3):
        voting.add_votes(picked, np.array([[0, 0, 1.0]]))
    assert voting.voxels.vote_weight[0] == pytest.approx(4.0, rel=1e-5)
    labels, confidence = voting.label_points(rows)
    assert labels[0] == 3
    assert confidence[0] == pytest.approx(1 - 0.75**3, rel=1e-5)


def test_points_without_votes_take_those_of_neighbours_within_one_sphere() -> None:
    voting, _ = voting_on(ground(1.0))
    for _ in range(5):
        run_sphere(voting, label=2)
    points = np.array([[0.05, 0.05, 0.25], [0.0, 0.0, 1.2], [2.5, 0.0, 0.0], [9.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    labels, confidence = voting.label_points(voting.insert(points, None, 0.1, SENSOR))
    assert labels.tolist() == [2, 2, 2, 0, 0]
    np.testing.assert_allclose(confidence, [1, 1, 1, 0, 0], atol=1e-6)


def test_a_close_voxel_outweighs_the_rest_of_its_cell() -> None:
    voting, _ = voting_on(np.array([[0.1, 0.1, 0.1], [0.1, 0.1, 0.35], [0.3, 0.1, 0.35]]))
    one_hot = np.eye(3, dtype=np.float32)
    rows = voting.voxels.find(np.array([[0.1, 0.1, 0.1], [0.1, 0.1, 0.35], [0.3, 0.1, 0.35]]))
    voting.voxels.add_votes(rows, np.ones(3, np.float32), one_hot[[0, 1, 1]], 10.0)
    voting.cells.add_votes(voting.cells.find(voting.voxels.points), np.ones(3, np.float32), one_hot[[0, 1, 1]], 10.0)
    labels, _ = voting.label_points(voting.insert(np.array([[0.3, 0.1, 0.1]]), None, 0.1, SENSOR))
    assert labels.tolist() == [1]  # most votes of the coarse cell are for 2


def test_without_votes_every_label_is_unknown() -> None:
    voting, rows = voting_on(ground(1.0))
    labels, confidence = voting.label_points(rows)
    assert not labels.any() and not confidence.any()
    assert labels.dtype == np.uint8 and confidence.dtype == np.float32


def test_an_empty_map_proposes_nothing() -> None:
    voting, rows = voting_on(np.empty((0, 3)))
    assert voting.propose_sphere() is None
    assert len(voting.label_points(rows)[0]) == 0


def test_the_cap_leaves_no_empty_spheres() -> None:
    config = SphereVotingConfig(voxel_size=0.2, sphere_radius=2.0, segment_range=50.0, max_voxels=300)
    voting, rows = voting_on(ground(), config)
    moved = np.append(voting.evict(SENSOR, 50.0), -1)[rows]
    assert len(voting.voxels) <= 300
    while voting.propose_sphere():
        assert len(run_sphere(voting).sphere.voxels)
    labels, _ = voting.label_points(moved)
    assert (labels > 0).sum() == (moved >= 0).sum()


def test_the_same_scene_ten_kilometres_away_is_cut_into_the_same_spheres() -> None:
    offset = np.array([10_000.0, -10_000.0, 50.0])
    near, far = SphereVoting(CONFIG, 3), SphereVoting(CONFIG, 3)
    near.reset(SENSOR)
    far.reset(offset)
    points = np.random.default_rng(0).uniform(-3, 3, (3000, 3))
    near.insert(points, None, 0.0, SENSOR)
    far.insert(points + offset, None, 0.0, offset)
    for _ in range(10):
        first, second = run_sphere(near), run_sphere(far)
        np.testing.assert_allclose(second.center - offset, first.center, atol=1e-6)
        np.testing.assert_allclose(second.sphere.points, first.sphere.points, atol=1e-6)
