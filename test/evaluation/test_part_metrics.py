# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of part segmentation, against numbers counted by hand."""

import numpy as np
import pytest

from kpconv_ros.evaluation.metrics import MetricsError
from kpconv_ros.evaluation.part_metrics import PartScores


def of(*parts: int) -> np.ndarray:
    return np.array(parts)


def test_the_mean_over_the_parts_of_an_object_by_hand() -> None:
    scores = PartScores([3, 2])
    value = scores.add(0, of(1, 1, 1, 2, 2), of(1, 1, 2, 2, 2))
    assert value == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)  # nobody has the third part


def test_a_part_that_is_only_predicted_counts_as_nothing() -> None:
    assert PartScores([3]).add(0, of(1, 1), of(1, 3)) == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_a_part_that_is_missed_counts_as_nothing() -> None:
    scores = PartScores([2, 3])
    assert scores.add(1, of(3, 4, 5), of(3, 4, 4)) == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores.add(1, of(3, 3), of(0, 1)) == pytest.approx((0 + 1 + 1) / 3)  # missed, or a part of the other class


def test_instances_and_classes_are_averaged_apart() -> None:
    scores = PartScores([1, 2, 2])
    for _ in range(3):
        assert scores.add(0, of(1, 1), of(1, 1)) == 1
    assert scores.add(1, of(2, 3), of(3, 2)) == 0
    assert scores.instance_miou() == pytest.approx(3 / 4)
    assert scores.class_miou() == pytest.approx(1 / 2)  # the third class has no objects
    assert scores.class_mious()[:2] == [1, 0] and np.isnan(scores.class_mious()[2])


def test_points_without_truth_are_ignored_and_nothing_has_no_score() -> None:
    scores = PartScores([2])
    assert np.isnan(scores.instance_miou()) and np.isnan(scores.class_miou())
    assert scores.add(0, of(0, 1, 0), of(2, 1, 1)) == 1
    assert scores.add(0, of(0), of(2)) == 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MetricsError, match=r"got predicted parts \(1,\), expected \(2,\)"):
        PartScores([2]).add(0, of(1, 2), of(1))
    with pytest.raises(MetricsError, match="got true parts 1 .. 3, expected 1 .. 2"):
        PartScores([2, 2]).add(0, of(1, 3), of(1, 1))
