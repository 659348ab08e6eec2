# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sub-tiles hold all points of a tile, around their own middle and ground."""

import numpy as np

from kpconv_ros.codec.subtiles import draw_rows, origins_of, split_tile


def test_points_come_back_from_their_sub_tiles() -> None:
    generator = np.random.default_rng(0)
    points = (generator.random((3000, 3)) * [20, 20, 4] + [0, 0, 100]).astype(np.float32)
    points[0] = [20, 20, 101]  # the upper edge belongs to the last sub-tile
    split = split_tile(points, 4)
    assert split.counts.sum() == 3000 and split.rows[-split.counts[15] :].tolist().count(0) == 1
    origins = np.repeat(origins_of(split.grounds), split.counts, axis=0)
    assert np.abs(split.points + origins - points[split.rows]).max() < 1e-4
    assert np.abs(split.points[:, :2]).max() <= 2.5


def test_the_ground_is_the_height_that_a_twentieth_lies_below() -> None:
    points = np.zeros((100, 3), np.float32)
    points[:, 0], points[:, 1] = 7, 12  # sub-tile 4 * 1 + 2
    points[:, 2] = np.random.default_rng(0).permutation(np.linspace(3.0, 12.9, 100))
    split = split_tile(points, 4)
    assert split.counts.tolist() == [0] * 6 + [100] + [0] * 9
    assert split.grounds[6] == 35 and split.grounds.sum() == 35


def test_rows_are_spread_evenly_or_repeated() -> None:
    assert draw_rows(10, 5).tolist() == [0, 2, 4, 6, 8]
    assert draw_rows(2, 5).tolist() == [0, 0, 0, 1, 1]
