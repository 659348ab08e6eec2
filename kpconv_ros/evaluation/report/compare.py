# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros compare``: reports of evaluations side by side; a fall beyond a tolerance is an exit status for CI."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kpconv_ros.evaluation.report.build import ReportError, read_report

EXIT_WORSE = 1


class FigureOfReport(NamedTuple):
    """A figure that can be compared."""

    path: str
    """Where it stands in ``report.json``."""
    text: str
    """What it is, for people."""
    more_is_better: bool


FIGURES = (
    FigureOfReport("segmentation.miou", "mIoU", True),
    FigureOfReport("segmentation.accuracy", "accuracy", True),
    FigureOfReport("segmentation.labelled_share", "share labelled", True),
    FigureOfReport("segmentation.calibration.ece", "calibration error", False),
    FigureOfReport("segmentation.converged.converged.miou", "mIoU after convergence", True),
    FigureOfReport("registration.placed", "scans placed", True),
    FigureOfReport("registration.ate_m.rmse", "ATE rmse [m]", False),
    FigureOfReport("registration.rpe_m.rmse", "RPE rmse [m]", False),
    FigureOfReport("registration.kitti_drift.translation_percent", "KITTI drift [%]", False),
    FigureOfReport("transmission.bytes_per_point", "sent bytes a point", False),
    FigureOfReport("transmission.bytes_per_m2", "sent bytes a m2", False),
    FigureOfReport("transmission.bandwidth.most_bytes_in_1_s", "most bytes in 1 s", False),
    FigureOfReport("transmission.shown", "share of the map decoded", True),
    FigureOfReport("transmission.label_agreement", "labels after the link", True),
    FigureOfReport("transmission.distortion.chamfer_m.mean", "map, Chamfer [m]", False),
    FigureOfReport("transmission.distortion.emkd_m.mean", "map, EM-kD [m]", False),
    FigureOfReport("transmission.distortion.d1_psnr_db.mean", "map, D1 PSNR [dB]", True),
    FigureOfReport("scans.segmentation.dropped", "segmentation, dropped", False),
    FigureOfReport("scans.registration.dropped", "registration, dropped", False),
    FigureOfReport("latency_ms.segmentation.latency.p95", "segmentation p95 [ms]", False),
    FigureOfReport("latency_ms.registration.latency.p95", "registration p95 [ms]", False),
    FigureOfReport("latency_ms.segmentation.total.p95", "segmentation, work p95", False),
    FigureOfReport("latency_ms.registration.total.p95", "registration, work p95", False),
    FigureOfReport("scans_per_second", "scans a second", True),
    FigureOfReport("rate_search.held_hz", "highest rate held [Hz]", True),
)
PATHS = {figure.path: figure for figure in FIGURES}


class Limit(NamedTuple):
    """How much worse than in the first report a figure may be."""

    figure: FigureOfReport
    tolerance: float
    is_relative: bool
    """Whether the tolerance is a share of the first report's figure."""

    def is_kept(self, first: float | None, other: float | None) -> bool:
        """Whether a figure is no worse than allowed; one that is missing beside one that is there is worse."""
        if first is None:
            return True
        if other is None:
            return False
        loss = first - other if self.figure.more_is_better else other - first
        return loss <= self.tolerance * (abs(first) if self.is_relative else 1.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("reports", type=Path, nargs="+", help="report.json files; the others are compared to the first")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="FIGURE:TOLERANCE",
        help="fail if FIGURE is worse than in the first report by more than TOLERANCE, in its own unit or with %% "
        "(segmentation.miou:0.01, registration.ate_m.rmse:10%%); figures: " + ", ".join(PATHS),
    )


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 if a limit is broken, else 0.

    Raises:
        ReportError: If a file is no report, or a limit is malformed.
    """
    if len(args.reports) < 2:
        raise ReportError(f"got {len(args.reports)} report, expected two or more to compare")
    limits = [parse_limit(text) for text in args.limit]
    reports = [read_report(path) for path in args.reports]
    print(format_comparison(args.reports, reports))
    broken = list(broken_limits(args.reports, reports, limits))
    for line in broken:
        print(f"WORSE: {line}")
    return EXIT_WORSE if broken else 0


def parse_limit(text: str) -> Limit:
    """Read ``FIGURE:TOLERANCE``, the tolerance a number from 0 or a percentage.

    Raises:
        ReportError: If it is none.
    """
    path, sign, amount = text.partition(":")
    try:
        tolerance = float(amount.removesuffix("%"))
    except ValueError:
        tolerance = -1.0
    if path not in PATHS or not sign or not tolerance >= 0:
        raise ReportError(f"got limit {text!r}, expected FIGURE:TOLERANCE with a figure of {', '.join(PATHS)}")
    is_relative = amount.endswith("%")
    return Limit(PATHS[path], tolerance / 100 if is_relative else tolerance, is_relative)


def figure_of(report: dict[str, Any], path: str) -> float | None:
    """A number of a report; None if the report has none there."""
    value: Any = report
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def broken_limits(paths: Sequence[Path], reports: Sequence[dict[str, Any]], limits: Sequence[Limit]) -> list[str]:
    """A line for each limit that a report breaks."""
    lines = []
    for limit in limits:
        first = figure_of(reports[0], limit.figure.path)
        for path, report in zip(paths[1:], reports[1:]):
            other = figure_of(report, limit.figure.path)
            if not limit.is_kept(first, other):
                allowed = f"{100 * limit.tolerance:g} %" if limit.is_relative else f"{limit.tolerance:g}"
                lines.append(f"{path}: {limit.figure.path} {_text(first)} -> {_text(other)}, allowed {allowed}")
    return lines


def format_comparison(paths: Sequence[Path], reports: Sequence[dict[str, Any]]) -> str:
    """The figures that at least one report has, a row each, and the difference to the first report."""
    lines = [f"{chr(ord('A') + place % 26)}  {path}" for place, path in enumerate(paths)]
    heads = "".join(f"{chr(ord('A') + place % 26):>12}" for place in range(len(paths)))
    lines.append(f"{'':<26}{heads}{'last - A':>12}")
    for figure in FIGURES:
        values = [figure_of(report, figure.path) for report in reports]
        if all(value is None for value in values):
            continue
        first, last = values[0], values[-1]
        change = "-" if first is None or last is None else f"{last - first:+.4g}"
        lines.append(f"{figure.text:<26}" + "".join(f"{_text(value):>12}" for value in values) + f"{change:>12}")
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
