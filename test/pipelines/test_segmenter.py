# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Offline segmentation of whole clouds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpconv_ros.checkpoint import Model
from kpconv_ros.pipelines.segmenter import Segmenter, find_ground
from kpconv_ros.pipelines.sphere_classifier import PipelineError


def blocks(num_points: int = 15_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Layers at 0, 1.5 and 3 m, with the label of each point."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(1, 4, num_points)
    points = generator.uniform(-8, 8, (num_points, 3))
    points[:, 2] = 1.5 * (labels - 1) + generator.normal(0, 0.02, num_points)
    return points.astype(np.float32), labels


def test_every_point_gets_the_label_of_its_layer(model: Model) -> None:
    points, labels = blocks()
    result = Segmenter(model).segment(points, num_votes=3)
    assert (result.labels == labels).mean() > 0.97
    assert result.labels.dtype == np.uint8 and result.confidence.dtype == np.float32
    assert (result.confidence > 1 / 3).all() and (result.confidence <= 1).all()
    assert result.classes == model.manifest.classes and result.colors == model.manifest.colors


def test_more_votes_mean_more_spheres_and_labels_that_settle(model: Model) -> None:
    points = np.random.default_rng(2).uniform((-8, -8, 0), (8, 8, 3), (15_000, 3))
    few, many, most = (Segmenter(model).segment(points, num_votes=votes) for votes in (0.1, 3, 8))
    assert many.num_spheres > 3 * few.num_spheres
    assert (many.labels == most.labels).mean() > (few.labels == most.labels).mean()


def test_the_order_of_points_does_not_matter(model: Model) -> None:
    points, _ = blocks()
    order = np.random.default_rng(1).permutation(len(points))
    straight, shuffled = Segmenter(model).segment(points), Segmenter(model).segment(points[order])
    assert (straight.labels[order] == shuffled.labels).mean() > 0.999


def test_the_sensor_tells_where_the_ground_is(model: Model) -> None:
    points, labels = blocks()
    lowest = points[labels > 1] + np.float32([0, 0, 20.0])
    guessed = Segmenter(model).segment(lowest).labels
    told = Segmenter(model).segment(lowest, sensor_origin=np.array([0.0, 0.0, 20.0 + 1.73])).labels
    assert (guessed == labels[labels > 1] - 1).mean() > 0.95
    assert (told == labels[labels > 1]).mean() > 0.95


def test_points_that_are_not_finite_are_unknown(model: Model) -> None:
    points, _ = blocks()
    points[::5] = np.nan
    labels = Segmenter(model).segment(points).labels
    assert not labels[::5].any() and (labels[1::5] > 0).all()


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.full((4, 3), np.nan), np.zeros((1, 3)), np.zeros((50, 3))])
def test_clouds_of_no_point_or_one_place_are_answered(model: Model, points: np.ndarray) -> None:
    result = Segmenter(model).segment(points)
    expected = 1 if len(points) and np.isfinite(points).all() else 0
    assert result.labels.tolist() == [expected] * len(points)


def test_a_file_is_labelled_like_its_points(model: Model, tmp_path: Path) -> None:
    points, _ = blocks()
    np.concatenate([points, np.zeros((len(points), 1), np.float32)], axis=1).tofile(tmp_path / "cloud.bin")
    segmenter = Segmenter(model)
    from_file = segmenter.segment_file(tmp_path / "cloud.bin")
    np.testing.assert_array_equal(from_file.labels, segmenter.segment(points).labels)


def test_wrong_input_is_told_with_got_and_expected(model: Model) -> None:
    with pytest.raises(PipelineError, match=r"points: expected shape \(N, 3\), got \(3,\)"):
        Segmenter(model).segment(np.zeros(3))
    with pytest.raises(PipelineError, match="num_votes: expected a number above 0, got 0"):
        Segmenter(model).segment(np.zeros((1, 3)), num_votes=0)


def test_the_ground_is_the_lowest_of_what_is_near() -> None:
    points = np.array([[1.0, 0, -1.7], [2.0, 0, -1.7], [0.0, 1, 3.0], [50.0, 0, -9.0]])
    assert find_ground(points) == pytest.approx(-1.7)
    assert find_ground(points[3:]) == pytest.approx(-9.0)
    assert find_ground(points[:0]) == 0.0
