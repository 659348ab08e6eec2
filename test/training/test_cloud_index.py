# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The index of large clouds gives what looking at every point gives."""

from dataclasses import replace

import numpy as np
import pytest

from kpconv_ros.data.clips import Clip
from kpconv_ros.training import cloud_index
from kpconv_ros.training.cloud_index import CloudIndex
from kpconv_ros.training.spheres import AugmentationConfig, SphereCutter

RNG = np.random.default_rng(0)
POINTS = np.concatenate([RNG.uniform(-7, 9, (3000, 3)), RNG.normal(0, 0.2, (500, 3))]).astype(np.float32)
LABELS = RNG.choice(np.array([0, 2, 2, 2, 5], np.uint8), len(POINTS))


@pytest.mark.parametrize("cell", [0.3, 1.0, 100.0])
@pytest.mark.parametrize("reach", [0.01, 1.5, 40.0])
def test_no_point_within_reach_is_missed_and_few_others_are_looked_at(cell: float, reach: float) -> None:
    index = CloudIndex(POINTS, LABELS, cell)
    for center in (*POINTS[::700], np.array([-7.5, 9.5, 0], np.float32)):
        rows = index.rows_near(center, reach)
        near = np.flatnonzero(np.linalg.norm(POINTS - center, axis=1) <= reach)
        assert np.isin(near, rows).all() and (np.diff(rows) > 0).all()
        assert np.abs(POINTS[rows] - center)[:, :2].max(initial=0) <= reach * 1.002 + cell


def test_nothing_is_near_a_place_far_away() -> None:
    index = CloudIndex(POINTS, LABELS, 1.0)
    for place in ((100, 0, 0), (-100, 0, 0), (0, 100, 0), (0, -100, 0)):
        assert len(index.rows_near(np.array(place, np.float32), 2.0)) == 0


def test_one_point_and_equal_points_are_found() -> None:
    for count in (1, 5):
        index = CloudIndex(np.ones((count, 3), np.float32), np.ones(count, np.uint8), 1.0)
        assert index.rows_near(np.ones(3, np.float32), 0.5).tolist() == list(range(count))


def test_rows_are_drawn_evenly_of_a_label_or_of_all() -> None:
    index, generator = CloudIndex(POINTS, LABELS, 1.0), np.random.default_rng(1)
    fives = [index.draw_row(generator, 5) for _ in range(400)]
    assert set(LABELS[fives]) == {5} and len(set(fives)) > 250
    drawn = LABELS[[index.draw_row(generator, None) for _ in range(1000)]]
    assert (drawn == 0).sum() == 0 and (drawn == 5).mean() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_spheres_are_the_same_with_and_without_an_index(
    clip: Clip, balance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    augmentation = replace(AugmentationConfig(), balance=balance)
    clip = clip._replace(labels=tuple(np.sort(labels) for labels in clip.labels))  # rows are in order of labels
    cutters = []
    for most in (0, 10**9):
        monkeypatch.setattr(cloud_index, "INDEXED_POINTS", most)
        cutters.append(SphereCutter([clip], 5, 0.3, 2.0, ("one", "height", "intensity", "range"), 10_000, augmentation))
    assert cutters[0]._indices[0][0] is not None and cutters[1]._indices[0][0] is None
    for seed in range(5):
        one, other = (cutter.cut(np.random.default_rng(seed)) for cutter in cutters)
        assert all(a.equal(b) for a, b in zip(one, other, strict=True))
