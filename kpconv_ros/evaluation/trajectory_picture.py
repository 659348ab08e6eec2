# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture of an odometry: its way among the points that were registered, one scan with those of it, its error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from kpconv_ros.evaluation.pictures import BACKGROUND, FOREGROUND, add_scale_bar, dark_figure, save_figure
from kpconv_ros.evaluation.trajectory import Array, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRUE_COLOR, ESTIMATED_COLOR, POINT_COLOR = "#f2c14e", "#4fb3ff", "#7b8794"
ERROR_COLOR, DEVIATION_COLOR = "#ff6b6b", "#4fb3ff"
MAX_DRAWN_POINTS = 150_000
REACH, MIN_REACH = 15.0, 45.0  # metres that are shown beside the way, and at least around its middle


def draw_trajectory(trajectory: Trajectory, path: str | Path, title: str = "") -> Path:
    """Draw estimated and true way over the registered points, one scan with its registered points, and the error.

    Args:
        trajectory: What was recorded.
        path: Picture to write; its folder is made.
        title: Text above the picture.

    Returns:
        The path written.
    """
    figure, (way, scan, error) = dark_figure(3, (18.0, 6.6))
    figure.subplots_adjust(left=0.01, right=0.985, top=0.88, bottom=0.13, wspace=0.14)
    _draw_way(way, trajectory)
    _draw_scan(scan, trajectory)
    _draw_errors(error, trajectory)
    figure.suptitle(title or f"{len(trajectory.truth)} scans", color=FOREGROUND, fontsize=14)
    return save_figure(figure, path)


def draw_errors_alone(trajectory: Trajectory, path: str | Path) -> Path:
    """Draw the error of the position and its published deviation over the way; return the path written."""
    figure, (axes,) = dark_figure(1, (13.0, 4.5))
    figure.subplots_adjust(left=0.06, right=0.985, top=0.9, bottom=0.14)
    _draw_errors(axes, trajectory)
    return save_figure(figure, path)


def _draw_way(axes: Axes, trajectory: Trajectory) -> None:
    points = trajectory.sampled_in_frame()
    points = points[:: -(-len(points) // MAX_DRAWN_POINTS) or 1]
    true = trajectory.truth[:, :2, 3]
    low, high = true.min(0), true.max(0)
    half = max(float((high - low).max()) / 2 + REACH, MIN_REACH)
    axes.scatter(points[:, 0], points[:, 1], s=1.0, c=POINT_COLOR, linewidths=0, rasterized=True)
    estimated = trajectory.estimate[trajectory.is_placed][:, :2, 3]
    axes.plot(*true.T, color=TRUE_COLOR, linewidth=5.0, label="true way")
    axes.plot(*estimated.T, color=ESTIMATED_COLOR, linewidth=1.6, label="estimated way")
    _look_at(axes, (low + high) / 2, half)
    axes.set_title("the way, among all points that were registered", color=FOREGROUND, fontsize=12)


def _draw_scan(axes: Axes, trajectory: Trajectory) -> None:
    scan, sampled = trajectory.scan, trajectory.scan_sampled
    axes.scatter(scan[:, 0], scan[:, 1], s=0.5, c=POINT_COLOR, linewidths=0, rasterized=True, label="scan")
    axes.scatter(sampled[:, 0], sampled[:, 1], s=7.0, c=TRUE_COLOR, linewidths=0, label="registered points")
    _look_at(axes, np.zeros(2), MIN_REACH)
    axes.set_title(f"one scan: {len(sampled):,} of {len(scan):,} points", color=FOREGROUND, fontsize=12)


def _look_at(axes: Axes, middle: Array, half: float) -> None:
    """Show a square from above, with a scale bar and a legend."""
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    add_scale_bar(axes)
    _add_legend(axes, "upper right")


def _add_legend(axes: Axes, place: Literal["upper left", "upper right"]) -> None:
    legend = axes.legend(loc=place, facecolor=BACKGROUND, edgecolor=POINT_COLOR, markerscale=3.0)
    for text in legend.get_texts():
        text.set_color(FOREGROUND)


def _draw_errors(axes: Axes, trajectory: Trajectory) -> None:
    steps = np.linalg.norm(np.diff(trajectory.truth[:, :3, 3], axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    axes.set_axis_on()
    axes.set_aspect("auto")
    axes.plot(way, trajectory.errors(), color=ERROR_COLOR, linewidth=1.8, label="error of the position")
    axes.plot(way, trajectory.deviation, color=DEVIATION_COLOR, linewidth=1.2, label="published deviation, to the map")
    axes.set_xlabel("way [m]", color=FOREGROUND)
    axes.set_ylabel("[m]", color=FOREGROUND)
    axes.set_ylim(0.0, 1.3 * max(float(np.nanmax(trajectory.errors())), 1e-3))  # room for the legend
    axes.tick_params(colors=FOREGROUND)
    for spine in axes.spines.values():
        spine.set_color(POINT_COLOR)
    axes.set_title("error", color=FOREGROUND, fontsize=12)
    _add_legend(axes, "upper left")
