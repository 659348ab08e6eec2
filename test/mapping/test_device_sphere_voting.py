# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sphere voting on a device: sphere by sphere that of the CPU, and its laws on small scenes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from device_maps import HAS_KERNELS, device, make_voting
from real_clouds import PLACE, SOURCES, near_place

from kpconv_ros.mapping.sphere_voting import SphereVotingConfig

pytestmark = pytest.mark.skipif(not HAS_KERNELS, reason="needs a CUDA device or TRITON_INTERPRET")
CONFIG = SphereVotingConfig(
    voxel_size=0.2, sphere_radius=2.0, segment_range=5.0, max_sphere_points=90, vote_memory=2.0, potential_memory=3.0
)


def scene(num_points: int, seed: int = 0) -> np.ndarray:
    """Points about a plane, ``(N, 3)``."""
    return np.random.default_rng(seed).uniform(-4, 4, (num_points, 3)) * (1, 0.6, 0.05)


@pytest.fixture(params=SOURCES)
def make_scene(request: pytest.FixtureRequest) -> Callable[[int, int], np.ndarray]:
    """Makes random scenes, then such of a real scan."""
    if request.param == "random":
        return scene
    points = request.getfixturevalue("real_scan").points
    near = points[near_place(points, 4.0)].astype(np.float64) - PLACE
    return lambda num_points, seed: np.random.default_rng(seed).choice(near, num_points, replace=False)


def pair_of(config: SphereVotingConfig) -> tuple[Any, Any]:
    return make_voting("cpu", config, 3), make_voting("device", config, 3)


def run_sphere(generator: np.random.Generator, *votings: Any) -> int:
    """Pick the next sphere of each, which is the same, and vote; return its size, 0 for none."""
    picked = [voting.pick() for voting in votings]
    if picked[0] is None:
        assert all(one is None for one in picked)
        return 0
    first = picked[0]
    probabilities = generator.dirichlet(np.ones(3), len(first.sphere.voxels)).astype(np.float32)
    for voting, one in zip(votings, picked, strict=True):
        np.testing.assert_allclose(one.center, first.center, atol=1e-9)
        np.testing.assert_array_equal(one.sphere.voxels, first.sphere.voxels)
        np.testing.assert_allclose(one.sphere.points, first.sphere.points, atol=1e-6)
        assert one.reach == pytest.approx(first.reach, abs=1e-5)
        voting.add_votes(one, probabilities)
    return len(first.sphere.voxels)


def test_spheres_votes_labels_and_evictions_are_those_on_the_cpu(
    make_scene: Callable[[int, int], np.ndarray],
) -> None:
    votings, generator = pair_of(CONFIG), np.random.default_rng(1)
    full = 0
    for step, num_points in enumerate((700, 300, 40)):  # the last one has few labels to look for
        sensor, points = np.array([0.8 * step, 0, 1]), make_scene(num_points, step) + (0.8 * step, 0, 0)
        points[3] = np.nan
        rows = [voting.insert(points, None, 0.5 * step, sensor) for voting in votings]
        np.testing.assert_array_equal(*rows)
        for _ in range(4):
            full += run_sphere(generator, *votings) == 90
        for name in ("voxels", "cells"):
            first, second = (getattr(voting, name) for voting in votings)
            for column in ("points", "counts", "potential", "votes", "vote_weight", "last_seen"):
                np.testing.assert_allclose(getattr(second, column), getattr(first, column), rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(second.seen, first.seen)
        if step < 2:
            moved = [voting.evict(sensor, 3.5) for voting in votings]
            np.testing.assert_array_equal(*moved)
            assert (moved[0] < 0).any() and len(votings[0].cells) == len(votings[1].cells)
    assert full > 3
    (labels, confidence), (ours, certain) = (v.label_points(r) for v, r in zip(votings, rows, strict=True))
    np.testing.assert_array_equal(ours, labels)
    np.testing.assert_allclose(certain, confidence, atol=1e-5)
    assert (labels > 0).any() and labels[3] == 0


def test_a_round_of_spheres_is_picked_one_after_the_other_and_stops_at_what_is_affordable() -> None:
    one_by_one, voting = (each for each in pair_of(CONFIG))
    ours = voting.voting
    for each in (one_by_one, voting):
        each.insert(scene(500), None, 0.0, np.zeros(3))
    expected = [*(one_by_one.pick() for _ in range(3)), one_by_one.propose_sphere()]
    sizes = [len(picked.sphere.voxels) for picked in expected]
    first = ours.pick(3, math.inf)
    assert first.sizes == sizes[:3] and len(first.rows) == sum(sizes[:3])
    np.testing.assert_allclose(first.centers.cpu(), [picked.center for picked in expected[:3]])
    np.testing.assert_array_equal(first.rows.cpu(), np.concatenate([p.sphere.voxels for p in expected[:3]]))
    assert first.spheres.tolist() == np.repeat(np.arange(3), sizes[:3]).tolist()
    assert ours.pick(4, sizes[3] - 1) is None  # it stays the next
    cut = ours.pick(4, 0.0, first_cap=30)  # the first is run whatever is affordable, but cut
    fourth = one_by_one.propose_sphere(30)
    assert cut.sizes == [30]
    np.testing.assert_allclose(cut.centers[0].cpu(), fourth.center)
    np.testing.assert_array_equal(cut.rows.cpu(), fourth.sphere.voxels)


def test_each_place_is_tested_as_often_as_asked_and_evenly_in_rounds() -> None:
    config = dataclasses.replace(CONFIG, potential_memory=math.inf, max_potential=3.0, max_sphere_points=1000)
    x, y = np.meshgrid(np.arange(-2, 2, 0.2), np.arange(-2, 2, 0.2))
    voting = make_voting("device", config, 3)
    voting.insert(np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1), None, 0.0, np.zeros(3))
    num_spheres = 0
    while batch := voting.voting.pick(8, math.inf):
        voting.voting.add_votes(batch, torch.full((sum(batch.sizes), 3), 1 / 3, device=device()))
        num_spheres += len(batch.sizes)
    potential = voting.cells.potential
    assert potential.min() >= 3.0 and potential.max() < 6.0
    assert num_spheres < 60  # one by one on the CPU: 3 tests, a disc's mean Tukey weight is 1/3, and the borders
    assert (voting.voxels.vote_weight > 0).all()


def test_votes_that_fill_the_memory_at_once_leave_nothing_of_the_old() -> None:
    for kind in ("cpu", "device"):
        voting = make_voting(kind, dataclasses.replace(CONFIG, vote_memory=1.0), 3)
        rows = voting.insert(np.array([[0.1, 0.1, 0.1], [0.3, 0.1, 0.1]]), None, 0.0, np.zeros(3))
        votes = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
        weights = np.array([1.0, 0.5, 1.0, 0.25], np.float32)
        voting.voxels.add_votes(rows[[0, 0, 1, 0]], weights, votes, 1.0)
        np.testing.assert_allclose(voting.voxels.votes, [[0.375, 0.625, 0], [0, 0, 1]], atol=1e-6)
        voting.voxels.add_votes(np.array([-1, rows[0]]), np.ones(2, np.float32), votes[:2], 1.0)
        np.testing.assert_allclose(voting.voxels.votes[0], [0, 1, 0], atol=1e-6)
        np.testing.assert_allclose(voting.voxels.vote_weight, [1, 1])


def test_points_without_votes_take_those_of_neighbours_within_one_sphere() -> None:
    voting = make_voting("device", CONFIG, 3)
    voting.insert(scene(200) * 0.3, None, 0.0, np.zeros(3))
    for _ in range(3):
        picked = voting.pick()
        voting.add_votes(picked, np.tile(np.float32([0, 1, 0]), (len(picked.sphere.voxels), 1)))
    points = np.array([[0.05, 0.05, 0.25], [0.0, 0.0, 1.2], [2.5, 0.0, 0.0], [9.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    labels, confidence = voting.label_points(voting.insert(points, None, 0.1, np.zeros(3)))
    assert labels.tolist() == [2, 2, 2, 0, 0]
    np.testing.assert_allclose(confidence, [1, 1, 1, 0, 0], atol=1e-6)


def test_the_cap_leaves_no_empty_spheres() -> None:
    voting = make_voting("device", dataclasses.replace(CONFIG, max_voxels=60, max_potential=0.5), 3)
    rows = voting.insert(scene(200), None, 0.0, np.zeros(3))
    moved = np.append(voting.evict(np.zeros(3), 50.0), -1)[rows]
    assert len(voting.voxels) <= 60
    sizes = []
    while picked := voting.pick():
        sizes.append(len(picked.sphere.voxels))
    assert min(sizes) > 0
    assert voting.voxels.find(scene(200)).tolist() == moved.tolist()


def test_an_empty_map_proposes_nothing() -> None:
    voting = make_voting("device", CONFIG, 3)
    assert voting.pick() is None
    rows = voting.insert(np.empty((0, 3)), None, 0.0, np.zeros(3))
    assert voting.pick() is None and len(voting.label_points(rows)[0]) == 0
