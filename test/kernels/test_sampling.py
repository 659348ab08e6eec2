# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling, compiled."""

import numpy as np

from kpconv_ros.kernels.sampling import pick_farthest, pick_nearest_to_centroids
from reference.sampling import brute_farthest


def test_the_picks_are_those_of_every_pair() -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    assert pick_farthest(points, 20, np.zeros(1, np.int64)).tolist() == brute_farthest(points, 20)


def test_every_point_can_be_picked_once() -> None:
    points = np.random.default_rng(1).normal(size=(25, 3)).astype(np.float32)
    assert sorted(pick_farthest(points, 25, np.zeros(1, np.int64)).tolist()) == list(range(25))


def test_the_point_nearest_to_the_centroid_of_each_cell_is_picked() -> None:
    points = np.random.default_rng(1).random((200, 3)).astype(np.float32)
    cells = np.random.default_rng(2).integers(0, 7, 200).astype(np.int32)
    picked = pick_nearest_to_centroids(points, cells, 7)
    for cell in range(7):
        rows = np.flatnonzero(cells == cell)
        away = np.linalg.norm(points[rows].astype(np.float64) - points[rows].astype(np.float64).mean(0), axis=1)
        assert picked[cell] == rows[away.argmin()]
