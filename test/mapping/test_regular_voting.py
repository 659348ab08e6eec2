# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regular voting: every wanted voxel gets its tests, the votes are plain means, every point gets a label."""

import math

import numpy as np
import pytest

from kpconv_ros.mapping import regular_voting
from kpconv_ros.mapping.regular_voting import RegularVoting
from kpconv_ros.mapping.sphere_voting import SphereVoting, SphereVotingConfig
from kpconv_ros.mapping.voxel_map import MappingError
from reference.voting import label_by_mean
from reference.voxel_grid import brute_cells

NUM_CLASSES = 4
SENSOR = np.zeros(3)


def make_voting(num_classes: int = NUM_CLASSES, **changes: float) -> RegularVoting:
    settings = {"voxel_size": 0.2, "sphere_radius": 2.0, "segment_range": math.inf, "vote_memory": math.inf}
    settings |= {"min_vote_weight": 1.0, "potential_memory": math.inf, "max_potential": math.inf}
    settings |= {"max_voxels": 1, "max_count": 1 << 24}
    config = SphereVotingConfig(**settings | changes)  # type: ignore[arg-type]
    return RegularVoting(SphereVoting(config, num_classes), np.random.default_rng(5))


def scene(num_points: int = 1500, seed: int = 0) -> np.ndarray:
    """Two floors and a lonely pole."""
    generator = np.random.default_rng(seed)
    points = generator.uniform((-5, -3, 0), (5, 3, 0.1), (num_points, 3))
    points[::3, 2] += 3
    points[:40] = generator.uniform((9, 9, 0), (9.1, 9.1, 2), (40, 3))
    return points.astype(np.float32)


def vote(voting: RegularVoting, generator: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Vote at random until nothing waits; return rows and probabilities of each sphere."""
    spheres = []
    while picked := voting.next_sphere():
        probabilities = generator.dirichlet(np.ones(NUM_CLASSES), len(picked.sphere.voxels)).astype(np.float32)
        voting.add_votes(picked, probabilities)
        spheres.append((picked.sphere.voxels, probabilities))
    return spheres


@pytest.mark.parametrize("num_tests", [1, 3, 7])
def test_votes_and_labels_are_those_of_the_slow_twin(num_tests: int) -> None:
    points, voting = scene(), make_voting()
    voting.insert(points, None, SENSOR)
    voting.start(num_tests)
    spheres = vote(voting, np.random.default_rng(1))
    voxels = voting.voting.voxels
    labels, confidence, tests = label_by_mean(points, voxels.points, spheres, NUM_CLASSES)
    assert tests.min() >= num_tests == voting.fewest_tests
    np.testing.assert_array_equal(voting.tests, tests)
    np.testing.assert_array_equal(voxels.vote_weight, tests)  # each vote weighs 1
    got_labels, got_confidence = voting.label_points(points)
    np.testing.assert_array_equal(got_labels, labels)
    np.testing.assert_allclose(got_confidence, confidence, rtol=1e-5)


def test_spheres_stand_apart_and_are_not_many_more_than_the_tests_need() -> None:
    points, voting = scene(), make_voting()
    voting.insert(points, None, SENSOR)
    voting.start(1)
    centers = []
    while picked := voting.next_sphere():
        centers.append(picked.center)
    gaps = np.linalg.norm(np.array(centers)[:, None] - np.array(centers)[None], axis=2)
    gaps[np.diag_indices(len(gaps))] = np.inf
    assert gaps.min() > 0.3 * 2.0  # no two look at the same place
    assert voting.tests.mean() < 4


def test_the_tests_of_a_place_come_from_different_spheres() -> None:
    voting = make_voting()
    voting.insert(scene(), None, SENSOR)
    voting.start(4)
    centers = []
    while picked := voting.next_sphere():
        centers.append(picked.center)
    gaps = np.linalg.norm(np.array(centers)[:, None] - np.array(centers)[None], axis=2)
    gaps[np.diag_indices(len(gaps))] = np.inf
    assert gaps.min() > 0.01


def test_a_cloud_put_in_by_chunks_gives_the_barycentres_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    points = scene()
    monkeypatch.setattr(regular_voting, "CHUNK", 77)
    voting = make_voting()
    voting.insert(points, points[:, 0], SENSOR)
    voting.start(1)
    cells = brute_cells(points, [len(points)], 0.2)
    rows_of_voxel = list(cells.values())  # in order of first appearance, as those of the map
    voxels = voting.voting.voxels
    assert len(voxels) == len(rows_of_voxel)
    expected = [points[rows].mean(axis=0, dtype=np.float64) for rows in rows_of_voxel]
    np.testing.assert_allclose(voxels.points, expected, atol=1e-6)
    np.testing.assert_allclose(voxels.intensity, np.array(expected)[:, 0], atol=1e-5)
    vote(voting, np.random.default_rng(0))
    assert (voting.label_points(points)[0] > 0).all()


def test_only_the_wanted_voxels_need_their_tests() -> None:
    points = scene()
    near, far = points[points[:, 0] < -3], points[points[:, 0] > 4]
    voting = make_voting()
    voting.insert(far, None, SENSOR)
    voting.insert(near, None, SENSOR)
    voting.start(2, near)
    num_spheres = len(vote(voting, np.random.default_rng(0)))
    assert 0 < num_spheres < 20
    untouched = voting.tests[voting.voting.voxels.find(far)]
    assert not untouched.any() and voting.fewest_tests == 2
    assert (voting.label_points(near)[0] > 0).all()


def test_spheres_that_are_too_full_still_reach_everyone() -> None:
    voting = make_voting(max_sphere_points=5)
    voting.insert(scene(600), None, SENSOR)
    voting.start(2)
    vote(voting, np.random.default_rng(0))
    assert voting.num_waiting == 0 and voting.tests.min() == voting.fewest_tests == 2


def test_points_that_are_not_finite_get_no_label_and_harm_nobody() -> None:
    points = scene(200)
    points[[3, 50]] = [[np.nan, 0, 0], [0, np.inf, 0]]
    voting = make_voting()
    voting.insert(points, None, SENSOR)
    voting.start(1)
    vote(voting, np.random.default_rng(0))
    labels, confidence = voting.label_points(points)
    assert (np.flatnonzero(labels == 0) == [3, 50]).all() and (np.flatnonzero(confidence == 0) == [3, 50]).all()


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((2, 3), np.nan)])
def test_an_empty_map_has_nothing_to_test(points: np.ndarray) -> None:
    voting = make_voting()
    voting.insert(points, None, SENSOR)
    voting.start(3)
    assert voting.next_sphere() is None and voting.num_waiting == voting.fewest_tests == 0
    assert not voting.label_points(points)[0].any()


def test_points_that_are_all_equal_share_one_voxel() -> None:
    voting = make_voting()
    voting.insert(np.ones((9, 3)), None, SENSOR)
    voting.start(3)
    assert len(vote(voting, np.random.default_rng(0))) == 3
    assert len(set(voting.label_points(np.ones((9, 3)))[0])) == 1


def test_colours_are_means_over_the_voxel_also_of_several_clouds_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular_voting, "CHUNK", 400)
    generator, voting = np.random.default_rng(0), make_voting()
    first, second, plain = scene(seed=1), scene(seed=2), scene(seed=3) + 50.0
    first[5] = np.nan
    colors = generator.uniform(0, 1, (len(first) + len(second), 3)).astype(np.float32)
    voting.insert(first, None, np.zeros(3), colors[: len(first)])
    voting.insert(second, None, np.zeros(3), colors[len(first) :])
    voting.insert(plain, None, np.zeros(3))
    voting.start(1)
    voxel_of_point = voting.voting.voxels.find(np.concatenate([first, second]))
    num_black = 0
    while picked := voting.next_sphere():
        shown = picked.sphere.colors
        assert shown is not None and shown.dtype == np.float32
        for voxel, color in zip(picked.sphere.voxels, shown, strict=True):
            inside = colors[voxel_of_point == voxel]
            num_black += not len(inside)
            np.testing.assert_allclose(color, inside.mean(axis=0) if len(inside) else 0.0, atol=1e-5)
    assert num_black > 0
    without = make_voting()
    without.insert(first, None, np.zeros(3))
    without.start(1)
    assert (sphere := without.next_sphere()) is not None and sphere.sphere.colors is None


def test_what_does_not_fit_is_refused() -> None:
    voting = make_voting()
    with pytest.raises(MappingError, match=r"expected shape \(3,\), got \(2,\)"):
        voting.insert(np.zeros((3, 3)), np.zeros(2, np.float32), SENSOR)
    with pytest.raises(MappingError, match="expected at least 1, got 0"):
        voting.start(0)
