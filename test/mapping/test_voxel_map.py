# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The voxel maps, on the CPU and on a device, against a dictionary, and at their edges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from device_maps import KINDS, make_map, write
from real_clouds import SOURCES, near_place

from kpconv_ros.geometry.sorted_cells import SortedCells
from kpconv_ros.mapping.voxel_map import MappingError, VoxelMap, VoxelMapConfig

CONFIG = VoxelMapConfig(voxel_size=0.25)
MakeMap = Callable[..., Any]


@pytest.fixture(params=KINDS)
def new_map(request: pytest.FixtureRequest) -> MakeMap:
    """Makes maps on the CPU, then on a device."""
    return lambda *at, **options: make_map(request.param, *at, **options)


def random_scan(seed: int, num_points: int = 2000, spread: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    points = generator.uniform(-spread, spread, (num_points, 3)).astype(np.float32)
    return points, generator.random(num_points, np.float32)


@pytest.fixture(params=SOURCES)
def scan(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Points and intensities, drawn at random, then of a real scan."""
    if request.param == "random":
        return random_scan(0)
    cloud = request.getfixturevalue("real_scan")
    near = near_place(cloud.points, 2.0)
    return cloud.points[near][::5], cloud.intensity[near][::5]


def dictionary_of(points: np.ndarray, voxel_size: float) -> dict[tuple[int, ...], list[int]]:
    """Slow twin: the points of each cell."""
    cells = defaultdict(list)
    for i, point in enumerate(points.astype(np.float64)):
        cells[tuple(np.floor(point * (1 / voxel_size)).astype(int))].append(i)
    return cells


def test_voxels_are_those_of_a_dictionary_of_cells(new_map: MakeMap, scan: tuple[np.ndarray, np.ndarray]) -> None:
    points, intensity = scan
    config = VoxelMapConfig(voxel_size=0.3)  # points of the scan lie on borders
    voxels = new_map(config, num_classes=4)
    voxel_of_point = voxels.insert(points, intensity, 1.0)
    cells = dictionary_of(points, config.voxel_size)
    assert len(voxels) == len(cells)
    for rows in cells.values():
        (row,) = set(voxel_of_point[rows])
        np.testing.assert_allclose(voxels.points[row], points[rows].astype(np.float64).mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(voxels.intensity[row], intensity[rows].mean(), atol=1e-6)
        assert voxels.counts[row] == len(rows)
    assert sorted(voxels.seen) == list(range(len(voxels)))


def test_two_scans_average_and_the_second_is_told_by_its_stamp(new_map: MakeMap) -> None:
    voxels = new_map(CONFIG, num_classes=2)
    voxels.insert(np.array([[0.1, 0.1, 0.1], [1.1, 0.1, 0.1]]), np.array([0.2, 0.5]), 1.0)
    rows = voxels.insert(np.array([[0.2, 0.1, 0.1]]), np.array([0.4]), 2.0)
    np.testing.assert_allclose(voxels.points[rows[0]], [0.15, 0.1, 0.1])
    np.testing.assert_allclose(voxels.intensity[rows[0]], 0.3, atol=1e-6)
    assert list(voxels.last_seen) == [2.0, 1.0]
    assert list(voxels.seen) == [rows[0]]


def test_ranges_are_mean_distances_to_the_sensor_of_each_scan(new_map: MakeMap) -> None:
    points, intensity = random_scan(12)
    voxels, sensors = new_map(CONFIG, 2), np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 1.0]])
    rows = [voxels.insert(points, intensity, stamp, sensor) for stamp, sensor in enumerate(sensors)][0]
    distances = np.linalg.norm(points[None] - sensors[:, None], axis=2).mean(axis=0)
    expected = np.bincount(rows, distances) / np.bincount(rows)
    np.testing.assert_allclose(voxels.ranges, expected, atol=1e-5)
    sphere = voxels.gather(np.zeros(3), 1.0)
    np.testing.assert_array_equal(sphere.ranges, voxels.ranges[sphere.voxels])


def test_a_capped_count_lets_the_mean_follow(new_map: MakeMap) -> None:
    voxels = new_map(VoxelMapConfig(voxel_size=1.0, max_count=4), num_classes=2)
    voxels.insert(np.full((100, 3), 0.2), None, 0.0)
    voxels.insert(np.full((4, 3), 0.6), None, 1.0)
    np.testing.assert_allclose(voxels.points, np.full((1, 3), 0.4))


def test_the_order_of_points_does_not_matter(new_map: MakeMap) -> None:
    points, intensity = random_scan(1)
    order = np.random.default_rng(2).permutation(len(points))
    first, second = new_map(CONFIG, 3), new_map(CONFIG, 3)
    for stamp in (0.0, 1.0, 2.0):
        rows = first.insert(points, intensity, stamp)[order]
        twins = second.insert(points[order], intensity[order], stamp)
    np.testing.assert_allclose(first.points[rows], second.points[twins], atol=1e-6)
    np.testing.assert_allclose(first.intensity[rows], second.intensity[twins], atol=1e-5)
    np.testing.assert_array_equal(first.potential[rows], second.potential[twins])


def test_points_that_are_not_finite_or_out_of_range_get_no_voxel(new_map: MakeMap) -> None:
    points = np.array([[0, 0, 0], [np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf], [0, 1e30, 0], [0, 0, 0.2]])
    voxels = new_map(CONFIG, 2)
    assert list(voxels.insert(points, None, 0.0)) == [0, -1, -1, -1, -1, 0]
    assert len(voxels) == 1


@pytest.mark.parametrize("points", [np.empty((0, 3), np.float32), np.full((5, 3), np.nan)])
def test_a_scan_without_points_changes_nothing(points: np.ndarray, new_map: MakeMap) -> None:
    voxels = new_map(CONFIG, 2)
    assert list(voxels.insert(points, None, 0.0)) == [-1] * len(points)
    assert len(voxels) == 0 and len(voxels.seen) == 0
    assert len(voxels.gather(np.zeros(3), 1.0).voxels) == 0
    assert len(voxels.evict(np.zeros(3), 1.0)) == 0


def test_find_gives_the_voxel_of_a_point_and_minus_one_elsewhere(new_map: MakeMap) -> None:
    points, intensity = random_scan(3)
    voxels = new_map(CONFIG, 2)
    voxel_of_point = voxels.insert(points, intensity, 0.0)
    np.testing.assert_array_equal(voxels.find(points), voxel_of_point)
    assert voxels.find(np.array([[50.0, 0, 0], [np.nan, 0, 0]])).tolist() == [-1, -1]


def test_eviction_keeps_what_is_near_and_says_where_it_went(new_map: MakeMap) -> None:
    points, intensity = random_scan(4)
    voxels = new_map(CONFIG, 3)
    voxel_of_point = voxels.insert(points, intensity, 0.0)
    old_points = voxels.points.copy()
    write(voxels, "votes", np.arange(len(voxels))[:, None])
    center = np.array([2.0, 0.0, 0.0])
    new_of_old = voxels.evict(center, 2.5)
    near = np.linalg.norm(old_points - center, axis=1) <= 2.5
    np.testing.assert_array_equal(new_of_old >= 0, near)
    np.testing.assert_array_equal(voxels.points, old_points[near])
    np.testing.assert_array_equal(voxels.votes[:, 0], np.flatnonzero(near))
    np.testing.assert_array_equal(voxels.find(points), new_of_old[voxel_of_point])


def test_a_point_that_comes_back_after_eviction_meets_no_old_votes(new_map: MakeMap) -> None:
    voxels = new_map(CONFIG, 2)
    voxels.insert(np.array([[0.0, 0, 0], [9.0, 0, 0]]), None, 0.0)
    write(voxels, "votes", 1.0)
    write(voxels, "vote_weight", 2.0)
    voxels.evict(np.zeros(3), 1.0)
    row = voxels.insert(np.array([[9.0, 0, 0]]), None, 1.0)[0]
    assert voxels.votes[row].tolist() == [0, 0] and voxels.vote_weight[row] == 0


def test_the_cap_on_voxels_evicts_the_farthest(new_map: MakeMap) -> None:
    points, intensity = random_scan(5)
    voxels = new_map(VoxelMapConfig(voxel_size=0.25, max_voxels=500), 2)
    voxels.insert(points, intensity, 0.0)
    old = np.sort(np.linalg.norm(voxels.points, axis=1))
    voxels.evict(np.zeros(3), np.inf)
    assert 400 < len(voxels) <= 500
    np.testing.assert_allclose(np.sort(np.linalg.norm(voxels.points, axis=1)), old[: len(voxels)])


def test_a_map_far_from_the_origin_loses_no_precision(new_map: MakeMap) -> None:
    points, intensity = random_scan(6)
    offset = np.array([10_000.0, -10_000.0, 100.0])  # a multiple of the voxel size, so the cells are the same
    near, far = new_map(CONFIG, 2), new_map(CONFIG, 2)
    near.insert(points.astype(np.float64), intensity, 0.0)
    far.insert(points.astype(np.float64) + offset, intensity, 0.0)
    ball, moved = near.gather(np.zeros(3), 2.0), far.gather(offset, 2.0)
    np.testing.assert_array_equal(ball.voxels, moved.voxels)
    np.testing.assert_allclose(ball.points, moved.points, atol=1e-6)


def test_utm_coordinates_fit_once_the_map_starts_near_them(new_map: MakeMap) -> None:
    place = np.array([691_000.0, 5_335_000.0, 520.0])
    voxels = new_map(CONFIG, 2, origin=place)
    assert voxels.insert(place + np.array([[1.0, 0, 0], [2.0, 0, 0]]), None, 0.0).tolist() == [0, 1]


def test_the_map_rolls_on_beyond_the_range_of_its_first_origin(new_map: MakeMap) -> None:
    voxels = new_map(VoxelMapConfig(voxel_size=0.001), 2)  # keys reach 1048 m
    for x in np.arange(0.0, 3000.0, 500.0):
        place = np.array([x, 0.0, 0.0])
        assert (voxels.insert(place + np.array([[0.5, 0, 0], [-0.5, 0, 0]]), None, x) >= 0).all()
        voxels.evict(place, 100.0)
        np.testing.assert_array_equal(voxels.find(voxels.points), np.arange(2))


def test_a_ball_is_nearest_first_when_too_full(new_map: MakeMap) -> None:
    points, intensity = random_scan(7)
    voxels = new_map(CONFIG, 2)
    voxels.insert(points, intensity, 0.0)
    ball = voxels.gather(np.zeros(3), 2.0, max_points=50)
    distance = np.linalg.norm(voxels.points, axis=1)
    np.testing.assert_array_equal(ball.voxels, np.sort(np.argsort(distance)[:50]))
    np.testing.assert_allclose(ball.points, voxels.points[ball.voxels], atol=1e-6)
    assert ball.points.dtype == np.float32


@pytest.mark.parametrize("max_points", [0, 40])
def test_a_ball_is_the_same_with_an_index_of_the_voxels(max_points: int) -> None:
    voxels = VoxelMap(CONFIG, 2)
    voxels.insert(*random_scan(7), 0.0)
    index = SortedCells(voxels.points, 0.5)
    for center in voxels.points[::50]:
        for ours, truth in zip(voxels.gather(center, 1.3, max_points, index), voxels.gather(center, 1.3, max_points)):
            np.testing.assert_array_equal(ours, truth)


def test_new_potentials_are_tiny_different_and_repeatable(new_map: MakeMap) -> None:
    points, _ = random_scan(8)
    first, second = new_map(CONFIG, 2), new_map(CONFIG, 2)
    first.insert(points, None, 0.0)
    second.insert(points, None, 0.0)
    np.testing.assert_array_equal(first.potential, second.potential)
    assert first.potential.min() >= 0 and first.potential.max() <= 1e-3
    assert len(np.unique(first.potential)) > 0.99 * len(first)


def test_reset_forgets_everything(new_map: MakeMap) -> None:
    voxels = new_map(CONFIG, 2)
    voxels.insert(*random_scan(9), 0.0)
    voxels.reset()
    assert len(voxels) == 0
    assert voxels.insert(np.zeros((1, 3)), None, 0.0).tolist() == [0]


def test_wrong_shapes_are_told_with_got_and_expected(new_map: MakeMap) -> None:
    voxels = new_map(CONFIG, 2)
    with pytest.raises(MappingError, match=r"expected shape \(N, 3\), got \(4, 2\)"):
        voxels.insert(np.zeros((4, 2)), None, 0.0)
    with pytest.raises(MappingError, match=r"intensity: expected shape \(4,\), got \(3,\)"):
        voxels.insert(np.zeros((4, 3)), np.zeros(3), 0.0)
    with pytest.raises(MappingError, match="voxel_size: expected a length above 0 m, got 0"):
        new_map(VoxelMapConfig(voxel_size=0), 2)
