# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a confidence of 0.8 is right eight times of ten: reliability by bins, and the expected calibration error.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599, Sec. 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

NUM_BINS = 15
"""As in the paper."""


class Calibration:
    """Counts of points by bins of confidence.

    Attributes:
        counts: Points in each bin, ``(NUM_BINS,)`` int64.
        correct: Those of them with the right label, ``(NUM_BINS,)`` int64.
        confidence: Sums of their confidences, ``(NUM_BINS,)``.
    """

    def __init__(self) -> None:
        """Start with no points."""
        self.counts = np.zeros(NUM_BINS, np.int64)
        self.correct = np.zeros(NUM_BINS, np.int64)
        self.confidence = np.zeros(NUM_BINS)

    def add(self, truth: npt.NDArray[Any], predicted: npt.NDArray[Any], confidence: npt.NDArray[Any]) -> None:
        """Count the points that have a true label and were labelled, all ``(N,)``; confidences 0..1."""
        judged = (truth > 0) & (predicted > 0)
        values = confidence[judged].astype(np.float64)
        bins = np.minimum((values * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        hits = truth[judged] == predicted[judged]
        self.counts += np.bincount(bins, minlength=NUM_BINS)
        self.correct += np.bincount(bins[hits], minlength=NUM_BINS)
        self.confidence += np.bincount(bins, weights=values, minlength=NUM_BINS)

    def expected_error(self) -> float | None:
        """Expected calibration error, Eq. (3) of the paper: mean |accuracy - confidence| of the bins by their points.

        Returns:
            0..1, or None without points.
        """
        total = int(self.counts.sum())
        return float(np.abs(self.correct - self.confidence).sum() / total) if total else None

    def report(self) -> dict[str, Any]:
        """The bins for a reliability plot, ready for JSON; None where a bin is empty."""
        filled = np.maximum(self.counts, 1)
        return {
            "ece": self.expected_error(),
            "bin_edges": np.linspace(0.0, 1.0, NUM_BINS + 1).tolist(),
            "counts": self.counts.tolist(),
            "accuracy": [a if n else None for a, n in zip((self.correct / filled).tolist(), self.counts.tolist())],
            "confidence": [c if n else None for c, n in zip((self.confidence / filled).tolist(), self.counts.tolist())],
        }
