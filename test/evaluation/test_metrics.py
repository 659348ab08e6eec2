# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics against a twin of plain loops, against numbers worked out by hand, and their laws."""

import math

import numpy as np
import pytest

from kpconv_ros.evaluation.metrics import ConfusionMatrix, MetricsError


def slow_iou(truth, predicted, num_classes):
    """IoU of each label by counting points one by one; None where the truth has none."""
    values = []
    for label in range(num_classes):
        hits = misses = false_alarms = 0
        for true_label, predicted_label in zip(truth, predicted):
            if true_label == 0:
                continue
            hits += true_label == label and predicted_label == label
            misses += true_label == label and predicted_label != label
            false_alarms += true_label != label and predicted_label == label
        values.append(hits / (hits + misses + false_alarms) if hits + misses and label else None)
    return values


def matrix_of(truth, predicted, num_classes):
    matrix = ConfusionMatrix(num_classes)
    matrix.add(np.array(truth, dtype=np.uint8), np.array(predicted, dtype=np.uint8))
    return matrix


@pytest.mark.parametrize("seed", range(5))
def test_iou_equals_the_slow_twin(seed):
    generator = np.random.default_rng(seed)
    truth, predicted = generator.integers(0, 6, (2, 400))
    truth[truth == 4] = 1  # a class that the truth does not have but the prediction does
    got = ConfusionMatrix(6)
    got.add(truth, predicted)
    expected = slow_iou(truth, predicted, 6)
    assert [None if math.isnan(value) else pytest.approx(value) for value in got.iou()] == expected
    present = [value for value in expected if value is not None]
    assert got.miou() == pytest.approx(sum(present) / len(present))


def test_hand_written_numbers():
    matrix = matrix_of([1, 1, 1, 1, 2, 2, 0, 0], [1, 1, 2, 0, 2, 1, 1, 2], 4)
    assert matrix.iou_by_class(["unlabeled", "road", "car", "pole"]) == {
        "road": pytest.approx(2 / 5),
        "car": pytest.approx(1 / 3),
        "pole": None,
    }
    assert matrix.miou() == pytest.approx((2 / 5 + 1 / 3) / 2)
    assert matrix.accuracy() == pytest.approx(3 / 6)


def test_truth_zero_is_ignored_whatever_is_predicted():
    assert np.array_equal(matrix_of([1, 2, 0], [1, 2, 1], 3).iou(), matrix_of([1, 2], [1, 2], 3).iou(), equal_nan=True)


def test_a_point_predicted_as_zero_is_missed():
    assert matrix_of([1, 1], [1, 0], 2).iou()[1] == pytest.approx(0.5)


def test_scans_one_by_one_equal_all_at_once_and_counts_from_elsewhere():
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 5, (2, 300))
    whole, parts, counted = ConfusionMatrix(5), ConfusionMatrix(5), ConfusionMatrix(5)
    whole.add(truth, predicted)
    for piece in range(0, 300, 70):
        parts.add(truth[piece : piece + 70], predicted[piece : piece + 70])
    table = np.zeros((256, 256), dtype=np.int64)
    np.add.at(table, (truth, predicted), 1)
    counted.add_counts(table)
    assert np.array_equal(whole.counts, parts.counts)
    assert np.array_equal(whole.counts, counted.counts)


def test_order_of_points_does_not_matter():
    generator = np.random.default_rng(1)
    truth, predicted = generator.integers(0, 5, (2, 100))
    order = generator.permutation(100)
    first, second = ConfusionMatrix(5), ConfusionMatrix(5)
    first.add(truth, predicted)
    second.add(truth[order], predicted[order])
    assert np.array_equal(first.counts, second.counts)


def test_nothing_gives_nan_and_not_zero():
    matrix = matrix_of([], [], 3)
    assert math.isnan(matrix.miou()) and math.isnan(matrix.accuracy()) and np.isnan(matrix.iou()).all()


@pytest.mark.parametrize(
    ("truth", "predicted", "text"),
    [([1, 2], [1], "got 1 predicted labels, expected 2"), ([3], [1], "got true labels 3"), ([1], [9], "predicted")],
)
def test_labels_that_do_not_fit_are_refused(truth, predicted, text):
    with pytest.raises(MetricsError, match=text):
        matrix_of(truth, predicted, 3)


def test_counts_of_unknown_labels_are_refused_by_name():
    table = np.zeros((256, 256), dtype=np.int64)
    table[2, 7] = 1
    with pytest.raises(MetricsError, match="got a label 7, expected 0 .. 3"):
        ConfusionMatrix(4).add_counts(table)


def test_the_number_of_names_is_checked():
    with pytest.raises(MetricsError, match="got 2 class names, expected 3"):
        ConfusionMatrix(3).iou_by_class(["unlabeled", "road"])


def test_accuracy_of_each_class_by_hand() -> None:
    matrix = ConfusionMatrix(4)
    matrix.add([0, 1, 1, 1, 2, 2], [1, 1, 1, 2, 2, 0])
    assert matrix.accuracy_by_class(("unlabeled", "a", "b", "c")) == {"a": 2 / 3, "b": 1 / 2, "c": None}
    assert matrix.class_accuracy() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert math.isnan(ConfusionMatrix(3).class_accuracy())
    with pytest.raises(MetricsError, match="got 2 class names, expected 4"):
        matrix.accuracy_by_class(("unlabeled", "a"))
