# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A report as a table for the terminal."""

from __future__ import annotations

from typing import Any

RULE = "-" * 72


def format_report(report: dict[str, Any]) -> str:
    """The figures that matter, one a line."""
    recording = report["recording"]
    lines = [f"{recording['name']}, {report['mode']}: {recording['scans']} scans", RULE]
    for part, scans in report["scans"].items():
        lines.append(f"{part + ' scans':<26} answered {scans['answered']}   dropped {scans['dropped']}")
    lines += _segmentation_lines(report["segmentation"]) + _registration_lines(report["registration"])
    lines += _transmission_lines(report["transmission"])
    for part, stages in report["latency_ms"].items():
        for stage, times in stages.items():
            spans = "   ".join(f"{name} {text_of(times[name], 1)}" for name in ("p50", "p95", "p99"))
            lines.append(f"{part[:12] + ' ' + stage + ' [ms]':<38} {spans}")
    lines += _rate_lines(report["rate_search"])
    lines += [f"problem: {problem}" for problem in report["problems"]]
    return "\n".join([*lines, RULE])


def text_of(value: float | None, digits: int = 3) -> str:
    """A number with so many digits; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def _segmentation_lines(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    lines = [
        f"{'mIoU, accuracy':<26} {text_of(part['miou'])}, {text_of(part['accuracy'])}",
        f"{'share labelled':<26} {text_of(part['labelled_share'])}",
        f"{'mean confidence':<26} {text_of(part['mean_confidence'])}",
    ]
    if part["calibration"] is not None:
        lines.append(f"{'calibration error (ECE)':<26} {text_of(part['calibration']['ece'], 4)}")
    if part["converged"] is not None:
        before, after = (part["converged"][name]["miou"] for name in ("published", "converged"))
        equal = text_of(part["converged"]["agreement"])
        lines.append(f"{'published -> converged':<26} mIoU {text_of(before)} -> {text_of(after)}, equal labels {equal}")
    return lines


def _registration_lines(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    lines = [f"{'way [m], placed':<26} {part['way_m']:.2f}, {part['placed']} of {part['scans']} scans"]
    for name, key in (("ATE rmse [m]", "ate_m"), ("RPE rmse [m]", "rpe_m"), ("RPE rmse [deg]", "rpe_deg")):
        if part[key] is not None:
            lines.append(f"{name:<26} {part[key]['rmse']:.4f}")
    if part["kitti_drift"] is not None:
        drift = part["kitti_drift"]
        lines.append(
            f"{'KITTI drift':<26} {drift['translation_percent']:.3f} %, {drift['rotation_deg_per_m']:.4f} deg/m "
            f"over {drift['lengths_m'][0]:g}..{drift['lengths_m'][-1]:g} m"
        )
    return lines


def _transmission_lines(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    bandwidth, distortion = part["bandwidth"], part["distortion"]
    worth = {name: text_of(values["mean"], 3) for name, values in distortion.items()}
    return [
        f"{'sent [bytes]':<26} {part['bytes']} in {part['seconds']:.1f} s: {text_of(part['bytes_per_point'])} a point, "
        f"{text_of(part['bytes_per_m2'], 2)} a m2",
        f"{'most in a second [bytes]':<26} {bandwidth['most_bytes_in_1_s']} (cap {bandwidth['cap_bytes_per_s']:g})",
        f"{'map decoded, labels':<26} {text_of(part['shown'])}, {text_of(part['label_agreement'])}",
        f"{'tiles: Chamfer, EM-kD [m]':<26} {worth['chamfer_m']}, {worth['emkd_m']}; D1 {worth['d1_psnr_db']} dB",
    ]


def _rate_lines(search: dict[str, Any] | None) -> list[str]:
    if search is None:
        return []
    trials = [
        f"  {trial['rate_hz']:7.2f} Hz: of {trial['scans']} scans dropped "
        + ", ".join(f"{number} ({part})" for part, number in trial["dropped"].items())
        for trial in search["trials"]
    ]
    return [
        f"{'highest rate held [Hz]':<26} {text_of(search['held_hz'], 1)} "
        f"(dropped at {text_of(search['verified_hz'], 1)} Hz: {search['verified_dropped']})",
        *trials,
    ]
