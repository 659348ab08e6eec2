# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What labels as they were published are worth: beside the truth, beside their confidence, and beside later votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.checkpoint import Manifest
from kpconv_ros.evaluation.calibration import Calibration
from kpconv_ros.evaluation.metrics import ConfusionMatrix, MetricsError
from kpconv_ros.evaluation.replay.kept_scans import KeptScan, KeptScans
from kpconv_ros.geometry.se3 import transform_points

Array = NDArray[Any]
MIN_POINTS_OF_CLASS = 20
"""So many points make a class visible in a picture."""


class VotedMap(NamedTuple):
    """The voted map at the end of a run."""

    points: Array
    """``(V, 3)``, metres, map frame."""
    labels: Array
    """``(V,)`` uint8."""


@dataclass(frozen=True)
class Labels:
    """Labels of a scan as they were published."""

    labels: Array
    """``(N,)`` uint8, 0 is unknown."""
    confidence: Array
    """``(N,)``, 0..1."""


class SegmentationTally:
    """Counts scan by scan."""

    def __init__(self, manifest: Manifest) -> None:
        """Count for a model's classes."""
        self.manifest = manifest
        self.matrix = ConfusionMatrix(len(manifest.classes))
        self.calibration = Calibration()
        self.kept = KeptScans()
        self.map: VotedMap | None = None
        self.num_scans = self.num_with_truth = self.num_points = self.num_labelled = 0
        self.scores: list[float | None] = []
        self._points_of_label = np.zeros(len(manifest.classes), np.int64)
        self._confidence = 0.0

    def add(self, points: Array, truth: Array | None, published: Labels, T_map_sensor: Array | None) -> None:  # noqa: N803
        """Count a scan.

        Args:
            points: ``(N, 3)``, metres, sensor frame.
            truth: True labels, ``(N,)``, or None.
            published: What was published of it.
            T_map_sensor: Its pose in the map, ``(4, 4)``, or None.

        Raises:
            MetricsError: If labels are not those of the model, or not one a point.
        """
        labels, confidence = published.labels, published.confidence
        matrix = ConfusionMatrix(self.matrix.num_classes)
        if len(labels) != len(points):
            raise MetricsError(f"got {len(labels)} labels, expected {len(points)}, one a point")
        matrix.add(np.zeros(len(labels), np.uint8) if truth is None else truth, labels)
        if truth is not None:
            self.matrix.add_counts(matrix.counts)
            self.calibration.add(truth, labels, confidence)
            self.num_with_truth += 1
        self._count(labels, confidence)
        score = matrix.miou() if truth is not None else float("nan")
        self.scores.append(None if np.isnan(score) else score)
        if np.isnan(score):
            score = float(confidence.mean()) if len(confidence) else 1.0
        seen = labels if truth is None else truth
        classes_seen = int((np.bincount(seen, minlength=1) >= MIN_POINTS_OF_CLASS).sum())
        self.kept.add(KeptScan(self.num_scans - 1, points, labels, truth, T_map_sensor, score), classes_seen)

    def _count(self, labels: Array, confidence: Array) -> None:
        self.num_scans += 1
        self.num_points += len(labels)
        self.num_labelled += int((labels > 0).sum())
        self._points_of_label += np.bincount(labels, minlength=len(self._points_of_label))
        self._confidence += float(confidence.sum(dtype=np.float64))

    def report(self) -> dict[str, Any]:
        """Sum up, ready for JSON; a number that does not exist is None."""
        classes, has_truth = self.manifest.classes, self.num_with_truth > 0
        return {
            "model": self.manifest.name,
            "classes": list(classes),
            "scans": self.num_scans,
            "scans_with_truth": self.num_with_truth,
            "points": self.num_points,
            "labelled_share": self.num_labelled / self.num_points if self.num_points else None,
            "mean_confidence": self._confidence / self.num_points if self.num_points else None,
            "points_of_label": dict(zip(classes, self._points_of_label.tolist())),
            **scores_of(self.matrix, classes),
            "confusion": self.matrix.counts.tolist() if has_truth else None,
            "calibration": self.calibration.report() if has_truth else None,
            "miou_by_scan": self.scores if has_truth else None,
            "worst_scans": [{"scan": scan.index, "score": scan.score} for scan in self.kept.worst],
            "converged": self._report_converged(),
            "map_voxels": None if self.map is None else len(self.map.labels),
        }

    def _report_converged(self) -> dict[str, Any] | None:
        """Labels as published beside those of the map at the end, for the same points of some scans."""
        if self.map is None or not len(self.map.labels):
            return None
        tree = cKDTree(self.map.points)
        published, converged = (ConfusionMatrix(self.matrix.num_classes) for _ in range(2))
        num_scans = num_points = num_equal = 0
        for scan in self.kept.spread:
            at_end = labels_from_map(scan, self.map, tree, self.manifest.voxel_size)
            inside = at_end > 0
            num_scans += bool(inside.any())
            num_points += int(inside.sum())
            num_equal += int((at_end == scan.labels)[inside].sum())
            if scan.truth is not None:
                published.add(scan.truth[inside], scan.labels[inside])
                converged.add(scan.truth[inside], at_end[inside])
        if not num_points:
            return None
        return {
            "scans": num_scans,
            "points": num_points,
            "agreement": num_equal / num_points,
            "published": scores_of(published, self.manifest.classes),
            "converged": scores_of(converged, self.manifest.classes),
        }


def scores_of(matrix: ConfusionMatrix, classes: Sequence[str]) -> dict[str, Any]:
    """MIoU, IoU by class and accuracy, ready for JSON."""
    values = {"miou": matrix.miou(), "accuracy": matrix.accuracy()}
    return {
        **{name: None if np.isnan(value) else value for name, value in values.items()},
        "iou": matrix.iou_by_class(classes),
    }


def labels_from_map(scan: KeptScan, voted: VotedMap, tree: cKDTree, voxel_size: float) -> Array:
    """Labels of a scan's points from the voted map, ``(N,)`` uint8: the nearest voxel's within a voxel, else 0."""
    labels = np.zeros(len(scan.points), np.uint8)
    if scan.T_map_sensor is None:
        return labels
    finite = np.flatnonzero(np.isfinite(scan.points).all(axis=1))
    placed = transform_points(scan.T_map_sensor, scan.points[finite])
    _, nearest = tree.query(placed, distance_upper_bound=voxel_size)
    labels[finite] = np.append(voted.labels, 0)[nearest]
    return labels
