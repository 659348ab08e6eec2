# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Charts of a report as Plotly figures, made as plain dictionaries."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.evaluation.pictures import BACKGROUND, FOREGROUND, Color, readable_palette

Array = NDArray[Any]
Figure = dict[str, Any]
GRID = "#2b333b"
LINES = ("#4fb3ff", "#f2c14e", "#ff6b6b", "#7bd88f", "#c792ea")
LABELS_OF_AXES = ("x [m]", "y [m]", "z [m]")


def draw_map(
    points: Array, labels: Array, classes: Sequence[str], colors: Sequence[Color], max_points: int, path: Array
) -> Figure:
    """A cloud in 3D, a trace for each class, so that a click on a class in the legend hides it.

    Args:
        points: ``(N, 3)``, metres.
        labels: ``(N,)``.
        classes: Names of the labels.
        colors: Their colours, 0..255.
        max_points: More points are thinned out evenly.
        path: The way of the sensor, ``(S, 3)``, metres, same frame; may be empty.
    """
    kept = np.linspace(0, len(points) - 1, min(max_points, len(points))).astype(np.int64)
    points, labels = points[kept], labels[kept]
    palette = np.round(255 * readable_palette(colors)).astype(int)
    traces = []
    for label in np.unique(labels).tolist():
        chosen = points[labels == label]
        red, green, blue = palette[label].tolist()
        marker = {"size": 2, "color": f"rgb({red},{green},{blue})"}
        traces.append({"type": "scatter3d", "mode": "markers", "name": classes[label], "marker": marker})
        traces[-1].update(zip("xyz", map(pack_floats, chosen.T)), hoverinfo="name")
    if len(path) > 1:
        way: Figure = {"type": "scatter3d", "mode": "lines", "name": "way of the sensor", "line": {"width": 6}}
        way["line"]["color"] = LINES[0]
        way.update(zip("xyz", map(pack_floats, path.T)))
        traces.append(way)
    axis = {"color": FOREGROUND, "gridcolor": GRID, "showbackground": False}
    scene: Figure = {f"{name}axis": {**axis, "title": {"text": text}} for name, text in zip("xyz", LABELS_OF_AXES)}
    scene.update(aspectmode="data", camera={"eye": {"x": -0.9, "y": -0.6, "z": 0.7}})
    layout = base_layout(height=720, scene=scene)
    layout["legend"] = {"itemsizing": "constant", "y": 0.92}  # below the buttons
    layout["margin"] = {"l": 0, "r": 0, "t": 10, "b": 0}
    return {"data": traces, "layout": layout}


def draw_reliability(calibration: dict[str, Any]) -> Figure:
    """Accuracy over confidence, with the points of each bin behind it."""
    middle = [0.5 * (a + b) for a, b in zip(calibration["bin_edges"], calibration["bin_edges"][1:])]
    share = np.array(calibration["counts"]) / max(sum(calibration["counts"]), 1)
    data = [
        {"type": "bar", "x": middle, "y": share.tolist(), "name": "share of the points", "marker": {"color": GRID}},
        {"type": "scatter", "x": [0, 1], "y": [0, 1], "mode": "lines", "name": "ideal", "line": {"dash": "dot"}},
        {"type": "scatter", "x": calibration["confidence"], "y": calibration["accuracy"], "mode": "lines+markers",
         "name": "measured"},
    ]  # fmt: skip
    return {"data": data, "layout": titled_layout("confidence", "share that is right", yaxis_range=[0, 1])}


def draw_ious(iou: dict[str, float | None], points: dict[str, int]) -> Figure:
    """Bars of the classes that the truth has."""
    shown = {name: value for name, value in iou.items() if value is not None}
    text = [f"{value:.3f}" for value in shown.values()]
    hover = [f"{points.get(name, 0):,} points so labelled" for name in shown]
    bar = {"type": "bar", "x": list(shown), "y": list(shown.values()), "text": text, "hovertext": hover}
    return {"data": [bar], "layout": titled_layout("", "IoU", yaxis_range=[0, 1])}


def draw_histograms(stages: dict[str, dict[str, Any]]) -> Figure:
    """How often a stage took how long, a line a stage."""
    data = []
    for stage, times in stages.items():
        edges, counts = times["histogram"]["edges"], times["histogram"]["counts"]
        line = {
            "type": "scatter",
            "x": edges[:-1],
            "y": counts,
            "name": stage,
            "mode": "lines",
            "line": {"shape": "hv"},
        }
        data.append({**line, "fill": "tozeroy"})
    return {"data": data, "layout": titled_layout("milliseconds", "scans")}


def draw_lines(
    columns: dict[str, tuple[Sequence[Any], Sequence[Any]]], across: str, up: str, square: bool = False
) -> Figure:
    """Lines by name, each of x and y values.

    Args:
        columns: Name to x and y.
        across: Title of the x axis.
        up: Title of the y axis.
        square: Whether both axes have one scale, as on a map.
    """
    data = [
        {"type": "scatter", "mode": "lines+markers", "name": name, "x": list(x), "y": list(y), "marker": {"size": 4}}
        for name, (x, y) in columns.items()
    ]
    layout = titled_layout(across, up)
    if square:
        layout["yaxis"].update(scaleanchor="x", scaleratio=1)
        layout["height"] = 520
    return {"data": data, "layout": layout}


def draw_bandwidth(bandwidth: dict[str, Any]) -> Figure:
    """Bytes of each period as a rate, and the cap."""
    period, sent = bandwidth["period_s"], bandwidth["bytes"]
    bar = {"type": "bar", "name": "sent", "x": [period * (i + 0.5) for i in range(len(sent))]}
    bar["y"] = [number / period for number in sent]
    cap: Figure = {"type": "scatter", "mode": "lines", "name": "cap", "x": [0, period * len(sent)]}
    cap.update(y=[bandwidth["cap_bytes_per_s"]] * 2, line={"dash": "dot", "color": LINES[2]})
    return {"data": [bar, cap], "layout": titled_layout("seconds", "bytes a second, headers included")}


def draw_tiles(tiles: Sequence[dict[str, Any]]) -> Figure:
    """Distortion of tiles over the bytes of a point of theirs, a colour for each coder."""
    data = []
    for coder in sorted({str(tile["coder"]) for tile in tiles}):
        own = [tile for tile in tiles if str(tile["coder"]) == coder]
        data.append({
            "type": "scatter",
            "mode": "markers",
            "name": coder,
            "x": [tile["bytes"] / tile["points"] for tile in own],
            "y": [tile["chamfer_m"] for tile in own],
            "text": [f"tile {tile['tile']}, {tile['points']} points" for tile in own],
        })  # fmt: skip
    return {"data": data, "layout": titled_layout("bytes a point of the tile's last code", "Chamfer distance [m]")}


def titled_layout(across: str, up: str, yaxis_range: list[float] | None = None) -> Figure:
    """A layout with titles of its axes."""
    xaxis, yaxis = ({"title": {"text": text}, "gridcolor": GRID, "zerolinecolor": GRID} for text in (across, up))
    if yaxis_range is not None:
        yaxis["range"] = yaxis_range  # type: ignore[assignment]
    return base_layout(xaxis=xaxis, yaxis=yaxis)


def base_layout(height: int = 340, **more: Any) -> Figure:
    """What all charts share."""
    return {
        "paper_bgcolor": BACKGROUND,
        "plot_bgcolor": BACKGROUND,
        "font": {"color": FOREGROUND},
        "colorway": list(LINES),
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "height": height,
        "showlegend": True,
        **more,
    }


def pack_floats(values: Array) -> dict[str, str]:
    """Numbers as Plotly's typed array: float32 in base64."""
    return {"dtype": "f4", "bdata": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()}
