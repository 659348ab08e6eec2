# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Street maps: merged, turned and cut without losing a point."""

from pathlib import Path

import numpy as np
import pytest

from kpconv_ros.codec.tile import TileContent, check_content
from kpconv_ros.data.cached_maps import load_simulated_maps
from kpconv_ros.data.street_maps import (
    PosedPoints,
    StreetMap,
    StreetMapConfig,
    cut_tiles,
    draw_points,
    kitti_map,
    merge_scans,
    simulate_map,
    turn_map,
)

SMALL = StreetMapConfig(scans=2)


def random_map(num: int = 5000) -> StreetMap:
    generator = np.random.default_rng(0)
    points = (generator.uniform(-50, 50, (num, 3)) * [1, 1, 0.1]).astype(np.float32)
    return StreetMap(points, generator.integers(0, 5, num).astype(np.uint8))


def test_scans_meet_in_one_frame_without_what_is_too_near() -> None:
    pose = np.eye(4)
    pose[:3, 3] = [10.0, 0.0, 0.0]
    points = np.array([[1.0, 0, 0], [5.02, 0, 0], [5.04, 0, 0], [5.06, 0.0, 0]], np.float32)
    street = merge_scans([PosedPoints(points, np.array([3, 1, 2, 2], np.uint8), pose)], SMALL)
    assert np.allclose(street.points, [[15.04, 0, 0]], atol=1e-5) and street.labels.tolist() == [2]


def test_tiles_hold_each_point_once_at_its_place() -> None:
    street = random_map()
    tiles = cut_tiles(street)
    assert sum(len(tile.points) for tile in tiles.values()) == len(street.points)
    for key, tile in tiles.items():
        check_content(tile)
        inside = (np.floor(street.points[:, :2] / 20).astype(int) == np.array(key)).all(axis=1)
        assert np.allclose(tile.points + [20 * key.ix, 20 * key.iy, 0], street.points[inside], atol=1e-4)
        assert np.array_equal(tile.labels, street.labels[inside])
    fullest = max(len(tile.points) for tile in tiles.values())
    assert len(cut_tiles(street, fullest)) == sum(len(tile.points) == fullest for tile in tiles.values())


def test_a_turn_keeps_heights_and_moves_x_to_y() -> None:
    street = StreetMap(np.array([[2.0, 0.0, 5.0]], np.float32), np.zeros(1, np.uint8))
    assert np.allclose(turn_map(street, np.pi / 2, (1.0, 10.0)).points, [[1.0, 12.0, 5.0]], atol=1e-6)


@pytest.mark.parametrize("count", [3, 10, 25])
def test_resampling_takes_all_points_about_as_often(count: int) -> None:
    tile = TileContent(np.arange(30, dtype=np.float32).reshape(10, 3), np.arange(10, dtype=np.uint8))
    drawn = draw_points(tile, count, np.random.default_rng(0))
    times = np.bincount(drawn.labels, minlength=10)
    assert len(drawn.points) == count and np.ptp(times) <= 1
    assert np.array_equal(drawn.points, tile.points[drawn.labels])


def test_a_simulated_map_depends_on_its_seed_alone_and_is_kept(tmp_path: Path) -> None:
    one, other = simulate_map(3, SMALL), simulate_map(4, SMALL)
    assert len(one.points) > 10_000 and len(one.points) != len(other.points)
    for _ in range(2):  # simulated, then read
        found = next(load_simulated_maps([3], SMALL, tmp_path))
        assert np.array_equal(found.points, one.points) and np.array_equal(found.labels, one.labels)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.data
def test_a_real_map_has_ground_around_the_path(data_dir: Path) -> None:
    root = data_dir / "semantickitti"
    if not (root / "sequences").is_dir():
        pytest.skip("needs SemanticKITTI, with poses, in the folder of real scans")
    street = kitti_map(root, sorted(path.name for path in (root / "sequences").iterdir())[0], StreetMapConfig())
    near = np.linalg.norm(street.points[:, :2], axis=1) < 10
    assert near.sum() > 5000 and -2.2 < np.percentile(street.points[near, 2], 20) < -1.3
