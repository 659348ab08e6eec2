# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros evaluate``: how well the package does on a recording, as a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from kpconv_ros.data.recordings import open_recording
from kpconv_ros.evaluation.replay.live import run_live
from kpconv_ros.evaluation.replay.offline import run_offline
from kpconv_ros.evaluation.replay.options import EvaluateOptions, add_arguments, options_of
from kpconv_ros.evaluation.replay.rates import run_rates
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.report.build import build_report
from kpconv_ros.evaluation.report.page import write_page
from kpconv_ros.evaluation.report.text import format_report
from kpconv_ros.evaluation.run_report import write_report

__all__ = ["add_arguments", "run"]

EXIT_PARTLY = 1
"""There is a report, but not of everything: its problems say what is missing."""


def run(args: argparse.Namespace) -> int:
    """Run a recording and write its report; 0 if all of it could be read and worked on, else 1.

    Raises:
        BagError: If there is nothing to read.
        EvaluationError: If it cannot be evaluated as asked.
        ScanError: If it holds no readable scan.
        LiveRunError: If a node died.
    """
    options = options_of(args)
    if not options.bag.exists():
        raise FileNotFoundError(2, "no such recording", str(options.bag))
    options.out.mkdir(parents=True, exist_ok=True)
    recording = open_recording(options.bag, options.sequence, **options.topics)
    result = RUNS[options.mode](recording, options)
    report = build_report(result, recording, options)
    written = write_files(report, result, options)
    print(format_report(report))
    print("written: " + ", ".join(str(path) for path in written))
    return EXIT_PARTLY if report["problems"] else 0


RUNS = {"offline": run_offline, "live": run_live, "rate": run_rates}


def write_files(report: dict[str, Any], result: RunResult, options: EvaluateOptions) -> list[Path]:
    """Write the report, the page and the trajectories; return their paths, the report first."""
    path = options.out / "report.json"
    write_report(report, path)
    written = [path, write_page(report, result, options.out, options.map_points)]
    if result.registration is not None and result.registration.is_placed.any():
        written += result.registration.write_files(options.out)
    return written
