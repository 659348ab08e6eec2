# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Expected calibration error beside numbers worked out by hand."""

import numpy as np
import pytest

from kpconv_ros.evaluation.calibration import NUM_BINS, Calibration


def counted(truth, predicted, confidence):
    calibration = Calibration()
    calibration.add(*(np.array(values) for values in (truth, predicted, confidence)))
    return calibration


def test_two_bins_worked_out_by_hand():
    # Bin of 0.9: two of four right, gap 0.4; bin of 0.5: one of one right, gap 0.5.
    calibration = counted([1, 1, 2, 2, 3], [1, 2, 2, 1, 3], [0.9, 0.9, 0.9, 0.9, 0.5])
    assert calibration.expected_error() == pytest.approx((4 * 0.4 + 1 * 0.5) / 5)


def test_a_confidence_that_is_right_as_often_as_it_says_has_no_error():
    random = np.random.default_rng(0)
    confidence = random.random(200_000)
    right = random.random(200_000) < confidence
    assert counted(np.ones(200_000, int), np.where(right, 1, 2), confidence).expected_error() < 0.01


def test_points_without_truth_or_label_do_not_count():
    calibration = counted([0, 1, 1], [1, 0, 1], [0.5, 0.5, 1.0])
    assert calibration.counts.sum() == 1 and calibration.expected_error() == 0.0


def test_scans_add_up():
    whole, parts = counted([1, 2, 1], [1, 1, 1], [0.2, 0.4, 1.0]), Calibration()
    for row in ([1, 1, 0.2], [2, 1, 0.4], [1, 1, 1.0]):
        parts.add(*(np.array([value]) for value in row))
    assert parts.report() == whole.report()


def test_nothing_has_no_error_and_empty_bins_are_none():
    assert Calibration().expected_error() is None
    report = counted([1], [1], [0.99]).report()
    assert report["accuracy"] == [None] * (NUM_BINS - 1) + [1.0]
    assert report["confidence"][-1] == pytest.approx(0.99) and len(report["bin_edges"]) == NUM_BINS + 1
