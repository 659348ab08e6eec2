# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a live run: what came in, what went out, how late, and how right, from the recorder's file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kpconv_ros.evaluation.metrics import ConfusionMatrix, MetricsError
from kpconv_ros.evaluation.pictures import Color, draw_comparison, draw_map_from_above

NS_PER_MS = 1e6
PERCENTILES = (50, 95, 99)


class RecordError(ValueError):
    """A record of a live run that is missing, unreadable or does not fit the classes."""


@dataclass(frozen=True)
class RunRecord:
    """What the recorder wrote; all times in ns, -1 where nothing came."""

    stamp: npt.NDArray[np.int64]
    """Stamp of each scan whose ground truth came, ``(S,)``."""
    truth_published: npt.NDArray[np.int64]
    """When its ground truth was published, ``(S,)``."""
    labels_published: npt.NDArray[np.int64]
    """When its labels were published, ``(S,)``."""
    labels_received: npt.NDArray[np.int64]
    """When the recorder had its labels, ``(S,)``."""
    num_points: npt.NDArray[np.int64]
    """Points of the scan, ``(S,)``."""
    pair_counts: npt.NDArray[np.int64]
    """Points by (true label, published label), ``(256, 256)``."""
    num_mismatched: int
    """Labelled scans whose number of points is not that of their ground truth."""
    scan: dict[str, npt.NDArray[Any]]
    """One scan: ``points (N, 3)``, ``predicted (N,)``, ``truth (N,)``; empty if no labels came."""
    map: dict[str, npt.NDArray[Any]]
    """The voted map at the end: ``points (V, 3)``, ``labels (V,)``; empty if none came."""
    debug: dict[str, npt.NDArray[np.float64]]
    """Every value of the node's debug topics, by name."""


def load_record(path: Path) -> RunRecord:
    """Read a recorder's file.

    Raises:
        RecordError: If it is missing or not such a file.
    """
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        groups: dict[str, dict[str, npt.NDArray[Any]]] = {"scan": {}, "map": {}, "debug": {}}
        for name in [name for name in arrays if name.partition("_")[0] in groups]:
            group, _, key = name.partition("_")
            groups[group][key] = arrays.pop(name)
        return RunRecord(num_mismatched=int(arrays.pop("num_mismatched")), **arrays, **groups)  # type: ignore[arg-type]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"got {path}, expected the record of a live run: {error}") from error


def build_report(record: RunRecord, classes: Sequence[str], latency_from: str = "stamp") -> dict[str, Any]:
    """Sum a run up.

    Args:
        record: The run.
        classes: Names of the labels, index 0 "unlabeled"; the truth and the published labels both mean these.
        latency_from: ``stamp``: latency counts from the scan's stamp; ``publication``: from the moment when the scan
            was published, for a bag whose stamps are old.

    Returns:
        ``scans_published``, ``scans_labelled``, ``scans_dropped``, ``latency_ms``, ``miou``, ``iou`` and more, ready
        for JSON; a number that does not exist is None.

    Raises:
        RecordError: If labels do not fit the classes or the clouds of truth and labels do not fit each other.
    """
    if record.num_mismatched:
        raise RecordError(f"got {record.num_mismatched} labelled scans with another number of points than their truth")
    matrix = ConfusionMatrix(len(classes))
    try:
        matrix.add_counts(record.pair_counts)
    except MetricsError as error:
        raise RecordError(f"labels do not fit the model's {len(classes)} classes: {error}") from error
    labelled = record.labels_published >= 0
    start = {"stamp": record.stamp, "publication": record.truth_published}[latency_from]
    latency = (record.labels_published - start)[labelled] / NS_PER_MS
    at_receipt = (record.labels_received - start)[labelled] / NS_PER_MS
    return {
        "scans_published": len(record.stamp),
        "scans_labelled": int(labelled.sum()),
        "scans_dropped": int((~labelled).sum()),
        "points_per_scan": _number(float(record.num_points.mean())) if len(record.num_points) else None,
        "latency_from": latency_from,
        "latency_ms": percentiles(latency),
        "latency_at_receipt_ms": percentiles(at_receipt),
        "miou": _number(matrix.miou()),
        "accuracy": _number(matrix.accuracy()),
        "iou": matrix.iou_by_class(classes),
        "num_points_of_class": {name: int(count) for name, count in zip(classes[1:], matrix.counts[1:].sum(axis=1))},
        "map_voxels": len(record.map.get("labels", ())),
        "debug": {name: percentiles(values) for name, values in sorted(record.debug.items())},
    }


def percentiles(values: npt.NDArray[np.floating[Any]]) -> dict[str, float | None]:
    """The median and the tails of some values: ``p50``, ``p95``, ``p99``; None of nothing."""
    if not len(values):
        return {f"p{q}": None for q in PERCENTILES}
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in PERCENTILES}


def format_report(report: dict[str, Any], title: str) -> str:
    """The report as one table for the terminal."""
    latency = report["latency_ms"]
    spans = "   ".join(f"{name} {_text(latency[name], '{:.1f}')}" for name in ("p50", "p95", "p99"))
    since = {"stamp": "the scan's stamp", "publication": "publication of the scan"}[report["latency_from"]]
    scans = [report[f"scans_{name}"] for name in ("published", "labelled", "dropped")]
    lines = [
        title,
        "-" * 64,
        f"{'scans':<20} in {scans[0]}   labelled {scans[1]}   dropped {scans[2]}",
        f"{'points a scan':<20} {_text(report['points_per_scan'], '{:,.0f}')}",
        f"{'latency [ms]':<20} {spans}   (from {since})",
        "-" * 64,
        f"{'class':<20} {'IoU':>7} {'points':>15}",
    ]
    counts = report["num_points_of_class"]
    lines += [f"{name:<20} {_text(iou, '{:.3f}'):>7} {counts[name]:>15,}" for name, iou in report["iou"].items()]
    lines += [f"{'mean of present':<20} {_text(report['miou'], '{:.3f}'):>7}", "-" * 64]
    return "\n".join(lines)


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")


def draw_pictures(record: RunRecord, classes: Sequence[str], colors: Sequence[Color], folder: Path) -> list[Path]:
    """Draw ``scan.png`` (published labels beside the truth) and ``map.png`` of what the record holds."""
    pictures = []
    if record.scan:
        points, predicted, truth = (record.scan[name] for name in ("points", "predicted", "truth"))
        pictures.append(draw_comparison(points, predicted, truth, classes, colors, folder / "scan.png"))
    if record.map:
        title = f"voted map at the end of the run, {len(record.map['labels']):,} voxels"
        points, labels = record.map["points"], record.map["labels"]
        pictures.append(draw_map_from_above(points, labels, classes, colors, folder / "map.png", title))
    return pictures


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
