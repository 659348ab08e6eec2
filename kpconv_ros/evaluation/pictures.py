# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of labelled clouds, drawn off screen by matplotlib (imported only when a picture is drawn)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kpconv_ros.evaluation.camera import View, look_from_behind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BACKGROUND = "#101418"
FOREGROUND = "#d7dde3"
UNLABELED_COLOR = (70, 76, 84)
MAX_DRAWN_POINTS = 400_000
MIN_LUMINANCE = 0.22

Points = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]
Color = tuple[int, int, int]


class PictureError(ValueError):
    """Arrays that do not make a picture."""


def draw_labelled_cloud(
    points: Points, labels: Labels, classes: Sequence[str], colors: Sequence[Color], path: str | Path, title: str = ""
) -> Path:
    """Draw a cloud coloured by label as seen from above and behind the sensor.

    Args:
        points: Positions, ``(N, 3)`` metres, z up; non-finite ones are left out.
        labels: Labels, ``(N,)``, 0 = unlabeled.
        classes: Name of each label, index 0 "unlabeled".
        colors: Colour of each label, 0..255 RGB.
        path: Picture to write; its folder is made.
        title: Text above the picture.

    Returns:
        The path written.

    Raises:
        PictureError: If lengths differ or no finite point is there.
    """
    points, (labels,) = _drawable(points, [labels], classes, colors)
    figure, (axes,) = dark_figure(1, (13.0, 7.5))
    draw_view(axes, look_from_behind(points), readable_palette(colors)[labels], title or f"{len(points):,} points")
    add_class_legend(figure, [labels], classes, colors)
    return save_figure(figure, path)


def draw_comparison(
    points: Points,
    predicted: Labels,
    truth: Labels,
    classes: Sequence[str],
    colors: Sequence[Color],
    path: str | Path,
    titles: tuple[str, str] = ("published labels", "ground truth"),
) -> Path:
    """Draw predicted labels beside the true ones, from the same point of view.

    Args:
        points: Positions, ``(N, 3)`` metres, z up; non-finite ones are left out.
        predicted: Predicted labels, ``(N,)``.
        truth: True labels, ``(N,)``, 0 = not known.
        classes: Name of each label, index 0 "unlabeled".
        colors: Colour of each label, 0..255 RGB.
        path: Picture to write; its folder is made.
        titles: Text above the left and the right half.

    Returns:
        The path written.

    Raises:
        PictureError: If lengths differ or no finite point is there.
    """
    points, both = _drawable(points, [predicted, truth], classes, colors)
    figure, panels = dark_figure(2, (17.0, 7.2))
    view = look_from_behind(points)
    for axes, labels, title in zip(panels, both, titles):
        draw_view(axes, view, readable_palette(colors)[labels], title)
    add_class_legend(figure, both, classes, colors)
    return save_figure(figure, path)


def draw_map_from_above(
    points: Points, labels: Labels, classes: Sequence[str], colors: Sequence[Color], path: str | Path, title: str = ""
) -> Path:
    """Draw a voted map from above with a scale bar; where voxels stand over each other the highest is seen.

    Args:
        points: Voxel positions, ``(V, 3)`` metres, z up; non-finite ones are left out.
        labels: Voted labels, ``(V,)``, 0 = no votes yet.
        classes: Name of each label, index 0 "unlabeled".
        colors: Colour of each label, 0..255 RGB.
        path: Picture to write; its folder is made.
        title: Text above the picture.

    Returns:
        The path written.

    Raises:
        PictureError: If lengths differ or no finite point is there.
    """
    points, (labels,) = _drawable(points, [labels], classes, colors)
    span = np.ptp(points[:, :2].astype(np.float64), axis=0)
    if span[1] > span[0]:  # the longer side lies across the page: turn the map by -90 degrees
        points = np.stack([points[:, 1], -points[:, 0], points[:, 2]], axis=1)
    figure, (axes,) = dark_figure(1, (13.0, 8.5))
    order = np.argsort(points[:, 2], kind="stable")
    view = View(points[:, 0].astype(np.float64), points[:, 1].astype(np.float64), order, np.full(len(points), 0.6))
    draw_view(axes, view, readable_palette(colors)[labels], title or f"voted map, {len(points):,} voxels")
    add_scale_bar(axes)
    add_class_legend(figure, [labels], classes, colors)
    return save_figure(figure, path)


def readable_palette(colors: Sequence[Color]) -> npt.NDArray[np.float64]:
    """Colours for a dark page: ``(num_classes, 3)`` in 0..1, dark ones lifted towards white, label 0 in grey."""
    palette = np.array([UNLABELED_COLOR, *colors[1:]], dtype=np.float64) / 255.0
    luminance = palette @ [0.2126, 0.7152, 0.0722]  # ITU-R BT.709
    lift = np.clip(MIN_LUMINANCE - luminance, 0.0, None) / (1.0 - luminance + 1e-9)
    return np.asarray(palette + (1.0 - palette) * lift[:, None])


def _drawable(
    points: Points, labelings: Sequence[Labels], classes: Sequence[str], colors: Sequence[Color]
) -> tuple[Points, list[Labels]]:
    """Check shapes, leave out non-finite points and thin out what is too much to draw."""
    if len(classes) != len(colors):
        raise PictureError(f"got {len(colors)} colours, expected {len(classes)}, one a class")
    for labels in labelings:
        if len(labels) != len(points):
            raise PictureError(f"got {len(labels)} labels, expected {len(points)}, one a point")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            raise PictureError(f"got labels {labels.min()} .. {labels.max()}, expected 0 .. {len(classes) - 1}")
    kept = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not len(kept):
        raise PictureError(f"got {len(points)} points, none of them finite")
    kept = kept[:: -(-len(kept) // MAX_DRAWN_POINTS)]
    return points[kept], [labels[kept] for labels in labelings]


def dark_figure(num_panels: int, size: tuple[float, float], rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``size`` in inches with panels for points, laid out in rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=110, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, -(-num_panels // rows), squeeze=False).ravel()
    figure.subplots_adjust(left=0.01, right=0.99, top=0.94, bottom=0.11, wspace=0.015)
    for axes in panels:
        axes.set_facecolor(BACKGROUND)
        axes.set_aspect("equal")
        axes.set_axis_off()
    return figure, list(panels)


def draw_view(axes: Axes, view: View, shades: npt.NDArray[np.float64], title: str) -> None:
    """Draw the points of a view, coloured by ``shades (N, 3)``, in its order; show the part where nearly all are."""
    order = view.order if len(view.order) else np.arange(len(shades))
    across, up = view.across[order], view.up[order]
    low, high = np.percentile(np.stack([across, up]), [0.3, 99.7], axis=1)
    margin = 0.03 * max(float((high - low).max()), 1e-3)
    span = np.maximum(high - low, 1e-3) + 2 * margin
    points_per_unit = _width_in_points(axes) / float(span[0])
    size = view.size[order] * _dot_area(len(order), float(span[1]) * points_per_unit, axes)
    axes.scatter(across, up, s=size, c=shades[order], linewidths=0, marker="o", rasterized=True)
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)
    axes.set_title(title, color=FOREGROUND, fontsize=13, pad=8)


def _width_in_points(axes: Axes) -> float:
    return float(axes.get_window_extent().width * 72.0 / axes.figure.dpi)


def _dot_area(num_points: int, height: float, axes: Axes) -> float:
    """Area of a dot [points^2] so that all dots side by side would cover the panel."""
    area = _width_in_points(axes) * height / max(num_points, 1)
    return float(np.clip(area, 1.4, 20.0))


def add_scale_bar(axes: Axes) -> None:
    """Draw a bar of a round number of metres in the lower left corner."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    fitting = [metres for metres in (1, 2, 5, 10, 20, 50, 100, 200, 500) if metres < 0.3 * (right - left)]
    length = fitting[-1] if fitting else 0.3 * (right - left)
    x, y = left + 0.02 * (right - left), bottom + 0.03 * (top - bottom)
    axes.plot([x, x + length], [y, y], color=FOREGROUND, linewidth=3, solid_capstyle="butt")
    axes.text(x + length / 2, y + 0.01 * (top - bottom), f"{length:g} m", color=FOREGROUND, ha="center", va="bottom")


def add_class_legend(
    figure: Figure, labelings: Sequence[Labels], classes: Sequence[str], colors: Sequence[Color]
) -> None:
    """Name the labels that are seen, below the panels."""
    from matplotlib.lines import Line2D

    seen = np.unique(np.concatenate([np.unique(labels) for labels in labelings]))
    handles = []
    palette = readable_palette(colors)
    for label in seen:
        handle = Line2D([], [], marker="o", linestyle="", color=palette[label], markersize=9, label=classes[label])
        handles.append(handle)
    rows = -(-len(handles) // int(figure.get_figwidth() / 1.7))
    columns = -(-len(handles) // rows)
    legend = figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=11)
    for text in legend.get_texts():
        text.set_color(FOREGROUND)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a picture; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=BACKGROUND)
    return path
