# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of semantic segmentation, from one matrix of counts.

Label 0 means "unlabeled". In the truth it is ignored: such a point counts nowhere. In the prediction it is a missed
point: its true class loses it, and no class gains it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class MetricsError(ValueError):
    """Labels and classes that do not fit each other."""


class ConfusionMatrix:
    """Counts of (true label, predicted label) pairs; everything else is read from them.

    Attributes:
        counts: ``(num_classes, num_classes)`` int64, row = true label, column = predicted label, both including 0.
    """

    def __init__(self, num_classes: int) -> None:
        """Start with no points.

        Args:
            num_classes: Number of labels including label 0, so ``len(classes)``.
        """
        self.num_classes = num_classes
        self.counts: npt.NDArray[np.int64] = np.zeros((num_classes, num_classes), dtype=np.int64)

    def add(self, truth: npt.ArrayLike, predicted: npt.ArrayLike) -> None:
        """Count the points of one scan.

        Args:
            truth: True labels, ``(N,)`` of any integer type, 0 = ignored.
            predicted: Predicted labels, ``(N,)`` of any integer type, 0 = not labelled.

        Raises:
            MetricsError: If the lengths differ or a label is outside ``0 .. num_classes - 1``.
        """
        true_labels = np.asarray(truth).astype(np.int64).reshape(-1)  # (N,)
        predicted_labels = np.asarray(predicted).astype(np.int64).reshape(-1)  # (N,)
        if len(true_labels) != len(predicted_labels):
            raise MetricsError(f"got {len(predicted_labels)} predicted labels, expected {len(true_labels)} as in truth")
        for name, labels in (("true", true_labels), ("predicted", predicted_labels)):
            if len(labels) and not 0 <= labels.min() <= labels.max() < self.num_classes:
                span = f"{labels.min()} .. {labels.max()}"
                raise MetricsError(f"got {name} labels {span}, expected 0 .. {self.num_classes - 1}")
        pairs = true_labels * self.num_classes + predicted_labels
        self.counts += np.bincount(pairs, minlength=self.num_classes**2).reshape(self.counts.shape)

    def add_counts(self, counts: npt.NDArray[np.integer]) -> None:
        """Add a table of pair counts made elsewhere, ``(L, L)`` with any ``L``; rows are true labels.

        Raises:
            MetricsError: If a label at or above ``num_classes`` was counted.
        """
        size = min(self.num_classes, len(counts))
        inside = counts[:size, :size]
        if int(inside.sum()) != int(counts.sum()):
            largest = int(max(axis.max() for axis in np.nonzero(counts)))
            raise MetricsError(f"got a label {largest}, expected 0 .. {self.num_classes - 1}")
        self.counts[:size, :size] += inside.astype(np.int64)

    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of each label, ``(num_classes,)``; NaN where the truth has no point, and for 0."""
        judged = self.counts.copy()
        judged[0] = 0  # points without a true class count nowhere
        hits = np.diag(judged).astype(np.float64)
        true_points = judged.sum(axis=1)
        union = true_points + judged.sum(axis=0) - hits
        present = true_points > 0
        return np.where(present, hits / np.maximum(union, 1), np.nan)

    def miou(self) -> float:
        """Mean IoU over the classes present in the truth; NaN if there are none."""
        values = self.iou()[1:]
        present = ~np.isnan(values)
        return float(values[present].mean()) if present.any() else float("nan")

    def accuracy(self) -> float:
        """Share of the points with a true class that got it; NaN if there are none."""
        total = int(self.counts[1:].sum())
        return float(np.diag(self.counts)[1:].sum() / total) if total else float("nan")

    def accuracy_by_class(self, classes: Sequence[str]) -> dict[str, float | None]:
        """Share of the true points of each class that got it, without label 0; None for a class the truth lacks.

        Raises:
            MetricsError: If the number of names is not ``num_classes``.
        """
        self._check_names(classes)
        hits, totals = np.diag(self.counts)[1:].tolist(), self.counts[1:].sum(axis=1).tolist()
        return {name: hit / total if total else None for name, hit, total in zip(classes[1:], hits, totals)}

    def class_accuracy(self) -> float:
        """Mean of :meth:`accuracy_by_class` over the classes present in the truth, the "mRec" of the KPConv paper."""
        totals = self.counts[1:].sum(axis=1)
        shares = np.diag(self.counts)[1:][totals > 0] / totals[totals > 0]
        return float(shares.mean()) if len(shares) else float("nan")

    def iou_by_class(self, classes: Sequence[str]) -> dict[str, float | None]:
        """IoU by class name, without label 0; None for a class that the truth does not have.

        Raises:
            MetricsError: If the number of names is not ``num_classes``.
        """
        self._check_names(classes)
        values = self.iou()
        return {name: None if np.isnan(value) else float(value) for name, value in zip(classes[1:], values[1:])}

    def _check_names(self, classes: Sequence[str]) -> None:
        if len(classes) != self.num_classes:
            raise MetricsError(f"got {len(classes)} class names, expected {self.num_classes}")
