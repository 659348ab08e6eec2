# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``report.json``: what a run gave, in the form that ``schema.json`` beside this file describes."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from kpconv_ros.data.recordings import GROUND_TRUTH, ODOMETRY_KIND, Recording
from kpconv_ros.evaluation.replay.options import PARTS, SCAN_PARTS, EvaluateOptions
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.report.machine import describe_machine, list_versions
from kpconv_ros.evaluation.run_report import percentiles

SCHEMA_NAME = "kpconv_ros/evaluation"
VERSION = 1
"""Of the schema: raised when a figure changes its name or its meaning."""
SCHEMA_FILE = Path(__file__).with_name("schema.json")
NUM_HISTOGRAM_BINS = 40


class ReportError(ValueError):
    """A file that is no report of an evaluation, or one of another version."""


def build_report(result: RunResult, recording: Recording, options: EvaluateOptions) -> dict[str, Any]:
    """Sum a run up, ready for JSON; a number that does not exist is None."""
    tallies = {part: getattr(result, part) for part in PARTS}
    num_given = result.num_scans if result.num_given is None else result.num_given
    return {
        "schema": SCHEMA_NAME,
        "version": VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "recording": describe_recording(result, recording, options),
        "mode": options.mode,
        "settings": describe_settings(options),
        "problems": result.problems,
        "scans": {
            part: {
                "given": num_given,
                "answered": result.answered.get(part, 0),
                "dropped": num_given - result.answered.get(part, 0),
            }
            for part in SCAN_PARTS
            if part in options.parts
        },
        "seconds": round(result.seconds, 3),
        "scans_per_second": round(result.num_scans / result.seconds, 3) if result.seconds > 0 else None,
        **{part: None if tally is None else tally.report() for part, tally in tallies.items()},
        "latency_ms": {
            part: {stage: describe_times(values) for stage, values in stages.items()}
            for part, stages in result.timings.items()
        },
        "rate_search": result.rate_search,
        "nodes": result.diagnostics,
        "usage": result.usage,
        "machine": describe_machine(),
        "versions": list_versions(),
    }


def describe_recording(result: RunResult, recording: Recording, options: EvaluateOptions) -> dict[str, Any]:
    """What was read."""
    selection = options.selection
    return {
        "name": options.name,
        "clouds": recording.num_clouds,
        "has_ground_truth": GROUND_TRUTH in recording.kinds,
        "has_odometry": ODOMETRY_KIND in recording.kinds,
        "truth_source": result.truth_source,
        "pose_source": result.pose_source,
        "start_s": selection.start,
        "duration_s": selection.duration,
        "stride": selection.stride,
        "scans": result.num_scans,
        "points_per_scan": result.points / result.num_scans if result.num_scans else None,
        "length_s": round(result.length, 6),
        "rate_hz": (result.num_scans - 1) / result.length if result.length > 0 else None,
    }


def describe_settings(options: EvaluateOptions) -> dict[str, Any]:
    """What was asked for."""
    return {
        "parts": list(options.parts),
        "model": str(options.model),
        "device": options.device,
        "poses": options.poses,
        "segment": dict(options.segment),
        "register": dict(options.register),
        "transmit": dict(options.transmit),
        "tail_s": options.tail,
        "speed": options.speed,
    }


def describe_times(values: list[float]) -> dict[str, Any]:
    """Percentiles and a histogram of milliseconds."""
    times = np.array(values, np.float64)
    counts, edges = np.histogram(times, bins=NUM_HISTOGRAM_BINS) if len(times) else (np.zeros(0), np.zeros(0))
    return {
        "count": len(times),
        "mean": round(float(times.mean()), 3) if len(times) else None,
        "max": round(float(times.max()), 3) if len(times) else None,
        **percentiles(times),
        "histogram": {"edges": np.round(edges, 4).tolist(), "counts": counts.astype(int).tolist()},
    }


def read_report(path: Path) -> dict[str, Any]:
    """Read a ``report.json`` of `VERSION`.

    Raises:
        ReportError: If it is none.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: got no readable JSON: {error}") from error
    found = (report.get("schema"), report.get("version")) if isinstance(report, dict) else (None, None)
    if found != (SCHEMA_NAME, VERSION):
        raise ReportError(f"{path}: got schema {found[0]!r} version {found[1]}, expected {SCHEMA_NAME!r} {VERSION}")
    return dict(report)
