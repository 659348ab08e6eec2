# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A confusion matrix as a table (CSV) and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.pictures import BACKGROUND, FOREGROUND

CORNER = "truth \\ prediction"
LEAST_WRITTEN = 0.005  # smaller shares round to 0 % and stay blank


def write_confusion_csv(matrix: ConfusionMatrix, classes: Sequence[str], path: Path) -> Path:
    """Write all counts, a row a true class and a column a predicted one, label 0 included; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([CORNER, *classes])
        writer.writerows([name, *counts] for name, counts in zip(classes, matrix.counts.tolist(), strict=True))
    return path


def read_confusion_csv(path: Path) -> tuple[tuple[str, ...], ConfusionMatrix]:
    """Read what :func:`write_confusion_csv` wrote: the classes and the counts, to add up the folds of a dataset."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    matrix = ConfusionMatrix(len(head) - 1)
    matrix.add_counts(np.array([[int(count) for count in row[1:]] for row in rows], np.int64))
    return tuple(head[1:]), matrix


def draw_confusion(matrix: ConfusionMatrix, classes: Sequence[str], path: Path, title: str = "") -> Path:
    """Draw which share of each true class went where, in percent; classes that the truth lacks are grey.

    Args:
        matrix: Counts.
        classes: Name of each label, index 0 "unlabeled": it has no row, and a column if a point got no label.
        path: Picture to write; its folder is made.
        title: Text above it.

    Returns:
        The path written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = 0 if matrix.counts[1:, 0].any() else 1
    counts = matrix.counts[1:, first:].astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)  # (C, C or C + 1)
    side = 3.0 + 0.42 * len(classes)
    figure = Figure(figsize=(side, side), dpi=110, facecolor=BACKGROUND, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_facecolor("#4a4f55")
    axes.imshow(shares, cmap="viridis", vmin=0.0, vmax=1.0)
    for row, column in zip(*np.nonzero(np.nan_to_num(shares) >= LEAST_WRITTEN)):
        share = shares[row, column]
        color = BACKGROUND if share > 0.6 else FOREGROUND
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(shares.shape[1]), classes[first:], rotation=60, ha="right", color=FOREGROUND)
    axes.set_yticks(range(shares.shape[0]), classes[1:], color=FOREGROUND)
    axes.set_xlabel("prediction", color=FOREGROUND)
    axes.set_ylabel("truth [% of its points]", color=FOREGROUND)
    axes.set_title(title, color=FOREGROUND)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=BACKGROUND)
    return path
