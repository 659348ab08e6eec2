# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A confusion matrix as CSV and as a picture."""

import csv
from pathlib import Path

import numpy as np

from kpconv_ros.evaluation.confusion_files import draw_confusion, read_confusion_csv, write_confusion_csv
from kpconv_ros.evaluation.metrics import ConfusionMatrix

CLASSES = ("unlabeled", "road, paved", "car", "tree")
COUNTS = np.array([[5, 1, 0, 0], [0, 90, 10, 0], [2, 0, 8, 0], [0, 0, 0, 0]])


def matrix_of(counts: np.ndarray) -> ConfusionMatrix:
    matrix = ConfusionMatrix(len(counts))
    matrix.add_counts(counts)
    return matrix


def brightness_at(path: Path, row: float, column: float) -> np.ndarray:
    """Mean colour of a patch of the drawn matrix, at shares of its height and width."""
    from matplotlib.image import imread

    image = imread(path)[:, :, :3]
    background = np.abs(image - image[0, 0]).max(axis=2) < 0.01
    inside = np.flatnonzero((~background).mean(axis=1) > 0.5), np.flatnonzero((~background).mean(axis=0) > 0.5)
    y, x = (int(rows[0] + share * (rows[-1] - rows[0])) for rows, share in zip(inside, (row, column), strict=True))
    return np.asarray(image[y - 4 : y + 4, x - 4 : x + 4].mean(axis=(0, 1)))


def test_the_table_holds_every_count_and_is_read_back(tmp_path: Path) -> None:
    path = write_confusion_csv(matrix_of(COUNTS), CLASSES, tmp_path / "deep" / "confusion.csv")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == list(CLASSES) and [row[0] for row in rows[1:]] == list(CLASSES)
    assert rows[2][1:] == ["0", "90", "10", "0"]  # the truth stands in rows
    classes, matrix = read_confusion_csv(path)
    assert classes == CLASSES
    np.testing.assert_array_equal(matrix.counts, COUNTS)


def test_the_picture_shows_where_each_class_went(tmp_path: Path) -> None:
    path = draw_confusion(matrix_of(COUNTS[:, [0, 1, 2, 3]]), CLASSES, tmp_path / "deep" / "confusion.png", "test")
    # Rows road, car, tree; columns unlabeled, road, car, tree; patches beside the numbers.
    road, car_missed, car_as_road, tree = (
        brightness_at(path, row, column) for row, column in ((0.08, 0.3), (0.42, 0.05), (0.42, 0.3), (0.75, 0.3))
    )
    assert road.mean() > 0.45  # 90 %: yellow-green
    assert car_missed.mean() > car_as_road.mean()  # 20 % without a label, 0 % taken for road
    assert np.ptp(tree) < 0.06  # no tree in the truth: grey
    assert np.ptp(road) > 0.3


def test_a_matrix_without_truth_is_drawn_in_grey(tmp_path: Path) -> None:
    path = draw_confusion(ConfusionMatrix(4), CLASSES, tmp_path / "none.png")
    assert np.ptp(brightness_at(path, 0.1, 0.1)) < 0.06
