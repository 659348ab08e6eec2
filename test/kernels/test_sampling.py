# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling, compiled."""

import numpy as np

from kpconv_ros.kernels.sampling import pick_farthest
from reference.sampling import brute_farthest


def test_the_picks_are_those_of_every_pair() -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    assert pick_farthest(points, 20, np.zeros(1, np.int64)).tolist() == brute_farthest(points, 20)


def test_every_point_can_be_picked_once() -> None:
    points = np.random.default_rng(1).normal(size=(25, 3)).astype(np.float32)
    assert sorted(pick_farthest(points, 25, np.zeros(1, np.int64)).tolist()) == list(range(25))
