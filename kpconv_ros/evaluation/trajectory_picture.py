# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture of an odometry: estimated and true way from above among the points that were registered, and its error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kpconv_ros.evaluation.pictures import BACKGROUND, FOREGROUND, add_scale_bar, dark_figure, save_figure
from kpconv_ros.evaluation.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRUE_COLOR, ESTIMATED_COLOR, POINT_COLOR = "#f2c14e", "#4fb3ff", "#7b8794"
ERROR_COLOR, DEVIATION_COLOR = "#ff6b6b", "#4fb3ff"
MAX_DRAWN_POINTS = 150_000
REACH = 45.0  # metres beside the way that are shown


def draw_trajectory(trajectory: Trajectory, path: str | Path, title: str = "") -> Path:
    """Draw estimated and true way over the registered points, the way alone, and the error over it.

    Args:
        trajectory: What was recorded.
        path: Picture to write; its folder is made.
        title: Text above the picture.

    Returns:
        The path written.
    """
    figure, (above, near, error) = dark_figure(3, (17.0, 6.6))
    figure.subplots_adjust(left=0.01, right=0.985, top=0.88, bottom=0.13, wspace=0.16)
    _draw_ways(above, trajectory, REACH)
    _draw_ways(near, trajectory, 4.0)
    _draw_errors(error, trajectory)
    above.set_title("from above, with the points that were registered", color=FOREGROUND, fontsize=12)
    near.set_title("the way", color=FOREGROUND, fontsize=12)
    figure.suptitle(title or f"{len(trajectory.truth)} scans", color=FOREGROUND, fontsize=14)
    return save_figure(figure, path)


def _draw_ways(axes: Axes, trajectory: Trajectory, reach: float) -> None:
    points = trajectory.sampled_in_frame()
    points = points[:: -(-len(points) // MAX_DRAWN_POINTS) or 1]
    true = trajectory.truth[:, :2, 3]
    low, high = true.min(0) - reach, true.max(0) + reach
    height = float((high - low)[1] / (high - low)[0])
    if height < 0.6:  # a long road is shown wider than it is long, but not as a line
        middle, half = (low[1] + high[1]) / 2, 0.3 * (high - low)[0]
        low[1], high[1] = middle - half, middle + half
    axes.scatter(points[:, 0], points[:, 1], s=1.0, c=POINT_COLOR, linewidths=0, rasterized=True)
    estimated = trajectory.estimate[trajectory.is_placed][:, :2, 3]
    axes.plot(*true.T, color=TRUE_COLOR, linewidth=4.5, alpha=0.9, label="true")
    axes.plot(*estimated.T, color=ESTIMATED_COLOR, linewidth=1.6, marker="o", markersize=2.5, label="estimated")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    add_scale_bar(axes)
    legend = axes.legend(loc="upper right", facecolor=BACKGROUND, edgecolor=POINT_COLOR)
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
    axes.set_ylim(bottom=0.0)
    axes.tick_params(colors=FOREGROUND)
    for spine in axes.spines.values():
        spine.set_color(POINT_COLOR)
    axes.set_title("error", color=FOREGROUND, fontsize=12)
    legend = axes.legend(loc="center right", facecolor=BACKGROUND, edgecolor=POINT_COLOR)
    for text in legend.get_texts():
        text.set_color(FOREGROUND)
