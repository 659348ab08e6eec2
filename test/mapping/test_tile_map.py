# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles keep one point a voxel, and count what changed."""

import numpy as np
import pytest

from kpconv_ros.mapping.error import MappingError
from kpconv_ros.mapping.tile_map import TileMap


def as_dictionary(points, labels, voxel=0.5):
    """Slow twin: voxel -> latest label that is not 0, over clouds in their order."""
    found = {}
    for point, label in zip(points, labels):
        key = tuple(np.floor(point / voxel).astype(int))
        found[key] = label or found.get(key, 0)
    return found


def shown(tile_map):
    """The map as the twin has it."""
    found = {}
    for (ix, iy), tile in tile_map.tiles.items():
        for point, label in zip(tile.points.astype(np.float64) + (20.0 * ix, 20.0 * iy, 0.0), tile.labels):
            found[tuple(np.floor(point / 0.5).astype(int))] = label
    return found


def test_it_holds_what_the_slow_twin_holds():
    random, tile_map = np.random.default_rng(0), TileMap(20.0, 0.5)
    clouds, all_labels = [], []
    for _ in range(5):
        cells = np.unique(random.integers((-60, -60, -4), (60, 60, 6), (3000, 3)), axis=0)
        clouds.append(cells * 0.5 + random.uniform(0.05, 0.45, cells.shape))
        all_labels.append(random.integers(0, 4, len(cells)).astype(np.uint8))
        before = as_dictionary(np.concatenate([*clouds[:-1], np.zeros((0, 3))]), np.concatenate([*all_labels[:-1], []]))
        changed = tile_map.insert(clouds[-1], all_labels[-1])
        after = as_dictionary(np.concatenate(clouds), np.concatenate(all_labels))
        assert sum(changed.values()) == sum(before.get(key) != label for key, label in after.items())
        assert shown(tile_map) == after
    assert all((np.diff(tile.voxels) > 0).all() for tile in tile_map.tiles.values())


def test_by_hand():
    tile_map = TileMap(20.0, 0.2)
    points = np.array([[1.0, 2.0, 3.0], [1.01, 2.01, 3.01], [-0.1, 0.1, 0.0], [20.0, 19.9, 0.0]])
    assert tile_map.insert(points, np.array([4, 4, 5, 6], np.uint8)) == {(0, 0): 1, (-1, 0): 1, (1, 0): 1}
    np.testing.assert_allclose(tile_map.tiles[-1, 0].points, [[19.9, 0.1, 0.0]], atol=1e-6)
    assert tile_map.insert(points, np.array([4, 4, 5, 6], np.uint8)) == {}
    assert tile_map.insert(points[:1], np.array([9], np.uint8)) == {(0, 0): 1}
    assert tile_map.insert(points[:1], np.array([0], np.uint8)) == {}
    assert tile_map.tiles[0, 0].labels.tolist() == [9]


def test_points_just_below_an_edge_stay_in_their_tile():
    tile_map = TileMap(20.0, 0.1)
    points = np.nextafter(np.array([[20.0, 20.0, 0.0], [-1e-12, 0.0, 0.0]]), -1e9)
    tile_map.insert(points, np.zeros(2, np.uint8))
    for tile in tile_map.tiles.values():
        assert (tile.points[:, :2] >= 0).all() and (tile.points[:, :2] <= 20.0).all()


def test_what_is_not_finite_or_absurdly_high_is_left_out():
    tile_map = TileMap(20.0, 0.2)
    points = np.array([[np.nan, 0, 0], [0, np.inf, 0], [0, 0, 1e6], [1, 1, 1.0]])
    assert tile_map.insert(points, np.zeros(4, np.uint8)) == {(0, 0): 1}
    assert TileMap(20.0, 0.2).insert(np.zeros((0, 3)), np.zeros(0, np.uint8)) == {}


@pytest.mark.parametrize("voxel_size", [0.0, -0.2, 0.3, 30.0])
def test_voxels_that_do_not_fit_are_refused(voxel_size):
    with pytest.raises(MappingError, match="whole number"):
        TileMap(20.0, voxel_size)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(MappingError, match="expected"):
        TileMap(20.0, 0.2).insert(np.zeros((3, 2)), np.zeros(3, np.uint8))
