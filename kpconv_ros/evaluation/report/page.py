# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``report.html``: a report as one file that needs nothing else, for people."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.evaluation.confusion_files import draw_confusion
from kpconv_ros.evaluation.map_pictures import MapView, draw_maps_from_above
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.pictures import draw_comparison, draw_labelled_cloud, draw_map_from_above
from kpconv_ros.evaluation.replay.kept_scans import KeptScan
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.replay.segmentation import SegmentationTally
from kpconv_ros.evaluation.replay.transmission import TransmissionTally
from kpconv_ros.evaluation.report import charts
from kpconv_ros.evaluation.trajectory_picture import draw_errors_alone

Array = NDArray[Any]
TEMPLATE = Path(__file__).with_name("page.html")


class Picture(NamedTuple):
    """A picture file and what it shows."""

    path: Path
    text: str


def write_page(report: dict[str, Any], result: RunResult, folder: Path, map_points: int) -> Path:
    """Write the page, with pictures drawn into the folder; return its path.

    Args:
        report: What `build_report` gave.
        result: The run itself, for pictures and the map.
        folder: Where the page and the pictures go.
        map_points: Most points of the 3D view.

    Raises:
        ModuleNotFoundError: Without Jinja2 or Plotly.
    """
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(number=format_number, share=lambda value: format_number(value, 3))
    pictures = draw_pictures(report, result, folder)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        figures={name: _script_json(figure) for name, figure in draw_figures(report, result, map_points).items()},
        pictures=[(inline_picture(picture.path), picture.text) for picture in pictures],
        plotly=get_plotlyjs(),
    )
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def draw_figures(report: dict[str, Any], result: RunResult, map_points: int) -> dict[str, charts.Figure]:
    """Plotly figures by the name of the element that shows them."""
    figures: dict[str, charts.Figure] = {}
    tally = result.segmentation
    if tally is not None and tally.map is not None and len(tally.map.labels):
        manifest, voted = tally.manifest, tally.map
        way = way_in_map(result, report)
        figures["map"] = charts.draw_map(voted.points, voted.labels, manifest.classes, manifest.colors, map_points, way)
    segmentation, registration = report["segmentation"], report["registration"]
    if segmentation is not None and segmentation["calibration"] is not None:
        figures["reliability"] = charts.draw_reliability(segmentation["calibration"])
        figures["iou"] = charts.draw_ious(segmentation["iou"], segmentation["points_of_label"])
        scans = range(len(segmentation["miou_by_scan"]))
        figures["miou_by_scan"] = charts.draw_lines({"mIoU": (scans, segmentation["miou_by_scan"])}, "scan", "mIoU")
    if registration is not None:
        figures["way"] = charts.draw_lines(ways_of(registration), "x [m]", "y [m]", square=True)
    if report["transmission"] is not None:
        figures.update(draw_transmission_figures(report["transmission"]))
    for part, stages in report["latency_ms"].items():
        figures[f"latency-{part}"] = charts.draw_histograms(stages)
    usage = report["usage"]
    if usage["time_s"]:
        for name, unit in (("cpu_percent", "processor [% of a core]"), ("memory_mb", "memory [MiB]")):
            lines = {process: (usage["time_s"], values[name]) for process, values in usage["processes"].items()}
            figures[name] = charts.draw_lines(lines, "seconds", unit)
        if usage["gauges"]:
            gauges = {name: (usage["time_s"], values) for name, values in usage["gauges"].items()}
            figures["gauges"] = charts.draw_lines(gauges, "seconds", "GPU memory [MiB]")
    return figures


def draw_transmission_figures(part: dict[str, Any]) -> dict[str, charts.Figure]:
    """Bandwidth over time below its cap, distortion of the tiles, and rate-distortion beside Draco."""
    figures = {"bandwidth": charts.draw_bandwidth(part["bandwidth"])}
    shown = [tile for tile in part["tiles"] if tile["chamfer_m"] is not None]
    if shown:
        figures["tiles"] = charts.draw_tiles(shown)
    lines: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for coder, name in (("link", "coders of the link"), ("draco", "Draco in as many bytes")):
        rows = [row for row in part["rate_distortion"] if row["coder"] == coder]
        if rows:
            lines[name] = ([row["bytes_per_point"] for row in rows], [row["chamfer_m"] for row in rows])
    if lines:
        figures["rates"] = charts.draw_lines(lines, "bytes a point", "Chamfer distance [m]")
    return figures


def ways_of(registration: dict[str, Any]) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    """Estimated and reference way from above, metres."""
    ways: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for name, key in (("reference", "reference_positions_m"), ("estimate", "positions_m")):
        positions = registration[key]
        if positions:
            ways[name] = ([row[0] for row in positions], [row[1] for row in positions])
    return ways


def way_in_map(result: RunResult, report: dict[str, Any]) -> Array:
    """The way of the sensor in the frame of the voted map, ``(S, 3)``; empty where that is not known."""
    if result.segmentation is None:
        return np.zeros((0, 3))
    if result.pose_source == "register" and report["registration"] is not None:
        return np.array(report["registration"]["positions_m"]).reshape(-1, 3)
    spread = result.segmentation.kept.spread
    return np.array([scan.T_map_sensor[:3, 3] for scan in spread if scan.T_map_sensor is not None]).reshape(-1, 3)


def draw_pictures(report: dict[str, Any], result: RunResult, folder: Path) -> list[Picture]:
    """Draw what there is to see; return the files."""
    pictures = [] if result.segmentation is None else draw_segmentation(report, result.segmentation, folder)
    if result.transmission is not None and result.transmission.has_both_ends:
        pictures.append(draw_transmission(result.transmission, way_in_map(result, report), folder / "link.png"))
    trajectory = None if result.registration is None else result.registration.trajectory()
    if trajectory is not None:
        path = draw_errors_alone(trajectory, folder / "odometry_error.png")
        pictures.append(Picture(path, "Error of the odometry's position along the way"))
    return pictures


def draw_transmission(tally: TransmissionTally, way: Array, path: Path) -> Picture:
    """Draw the map at both ends of the link from above, with the way of the sensor."""
    ends = [MapView(*end, title) for title, end in (("sent", tally.sent_map()), ("decoded", tally.received_map()))]
    draw_maps_from_above(ends, tally.manifest, way, path)
    return Picture(path, "The map at both ends of the link")


def draw_segmentation(report: dict[str, Any], tally: SegmentationTally, folder: Path) -> list[Picture]:
    """Draw the map from above, a scan, the worst scans, and the confusion matrix."""
    manifest, pictures = tally.manifest, []
    names = (manifest.classes, manifest.colors)
    if tally.map is not None and len(tally.map.labels):
        title = f"voted map at the end of the run, {len(tally.map.labels):,} voxels"
        path = draw_map_from_above(tally.map.points, tally.map.labels, *names, folder / "map.png", title)
        pictures.append(Picture(path, "The voted map from above"))
    if tally.kept.most_classes is not None:
        picture = draw_scan(tally.kept.most_classes, tally, folder / "scan.png")
        pictures += [Picture(picture, "The scan with the most classes")] if picture else []
    for place, scan in enumerate(tally.kept.worst):
        picture = draw_scan(scan, tally, folder / f"worst_{place}.png")
        measure = "mIoU" if scan.truth is not None else "mean confidence"
        text = f"Worst scan {place + 1}: number {scan.index}, {measure} {scan.score:.3f}"
        pictures += [Picture(picture, text)] if picture else []
    if report["segmentation"]["confusion"] is not None:
        matrix = ConfusionMatrix(len(manifest.classes))
        matrix.add_counts(tally.matrix.counts)
        path = draw_confusion(matrix, manifest.classes, folder / "confusion.png")
        pictures.append(Picture(path, "Confusion: which share of each true class went where"))
    return pictures


def draw_scan(scan: KeptScan, tally: SegmentationTally, path: Path) -> Path | None:
    """Draw a scan, beside its truth where there is one; None if no point of it is finite."""
    names = (tally.manifest.classes, tally.manifest.colors)
    if not np.isfinite(scan.points).all(axis=1).any():
        return None
    if scan.truth is None:
        return draw_labelled_cloud(scan.points, scan.labels, *names, path, f"scan {scan.index}, published labels")
    return draw_comparison(scan.points, scan.labels, scan.truth, *names, path)


def inline_picture(path: Path) -> str:
    """A PNG as the source of an image element."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def format_number(value: float | None, digits: int = 2) -> str:
    """A number for people; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def _script_json(figure: charts.Figure) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(figure, allow_nan=False).replace("<", "\\u003c")
