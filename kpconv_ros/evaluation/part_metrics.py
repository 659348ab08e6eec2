# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of part segmentation as the ShapeNetPart benchmark has them.

Yi et al., "A Scalable Active Framework for Region Annotation in 3D Shape Collections", SIGGRAPH Asia 2016; the rule for
absent parts is written down in Qi et al., "PointNet", CVPR 2017, arXiv:1612.00593, section 5.1 and supplement.

Note:
    The authors of KPConv count a part that the truth lacks as the mean of the others, whether or not it was predicted.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kpconv_ros.evaluation.metrics import MetricsError


class PartScores:
    """Mean IoU over the parts of each object; all scores are read from them."""

    def __init__(self, num_parts: Sequence[int]) -> None:
        """Start with no objects.

        Args:
            num_parts: Parts of each object class; they are numbered through from 1.
        """
        self.ends = np.cumsum([1, *num_parts])
        self.mious: list[list[float]] = [[] for _ in num_parts]
        """Mean IoU of each object, by its class."""

    def add(self, category: int, truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer]) -> float:
        """Judge an object and return its mean IoU: a part that is in neither truth nor prediction counts as 1.

        Args:
            category: Object class.
            truth: True part of each point, ``(N,)``; points of 0 are ignored.
            predicted: Predicted part of each, ``(N,)``; 0 or a part of another object class is a missed point.

        Raises:
            MetricsError: If the lengths differ, or the truth has a part of another object class.
        """
        if truth.shape != predicted.shape:
            raise MetricsError(f"got predicted parts {predicted.shape}, expected {truth.shape} as in truth")
        first, end = self.ends[category], self.ends[category + 1]
        labelled = truth != 0
        truth, predicted = truth[labelled], predicted[labelled]
        if len(truth) and not first <= truth.min() <= truth.max() < end:
            raise MetricsError(f"got true parts {truth.min()} .. {truth.max()}, expected {first} .. {end - 1}")
        values = []
        for part in range(first, end):
            union = np.count_nonzero((truth == part) | (predicted == part))
            values.append(np.count_nonzero((truth == part) & (predicted == part)) / union if union else 1.0)
        self.mious[category].append(float(np.mean(values)))
        return self.mious[category][-1]

    def instance_miou(self) -> float:
        """Mean over all objects; NaN if there are none."""
        values = [value for of_class in self.mious for value in of_class]
        return float(np.mean(values)) if values else float("nan")

    def class_mious(self) -> list[float]:
        """Mean over the objects of each class; NaN for a class without any."""
        return [float(np.mean(values)) if values else float("nan") for values in self.mious]

    def class_miou(self) -> float:
        """Mean over the object classes that have objects; NaN if there are none."""
        values = [value for value in self.class_mious() if not np.isnan(value)]
        return float(np.mean(values)) if values else float("nan")
