# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps from above, side by side in the same frame and cut, with the way of the sensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Manifest
from kpconv_ros.evaluation.camera import View
from kpconv_ros.evaluation.pictures import (
    FOREGROUND,
    MAX_DRAWN_POINTS,
    PictureError,
    add_class_legend,
    add_scale_bar,
    dark_figure,
    draw_view,
    readable_palette,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]
WAY_COLOR = "#ffffff"
LOW, HIGH = 5, 95  # percentiles of the heights between which the colours of a map without labels lie


class MapView(NamedTuple):
    """A map to draw."""

    points: Array
    """``(N, 3)``, metres, z up."""
    labels: Array
    """``(N,)``."""
    title: str


def draw_maps_from_above(maps: Sequence[MapView], manifest: Manifest | None, way: Array, path: Path) -> Path:
    """Draw maps of the same place.

    Args:
        maps: In the same frame; the first one says which part is shown.
        manifest: Names and colours of the labels; None: the heights are coloured.
        way: Of the sensor, ``(S, 3)``, same frame; may be empty.
        path: Picture to write.

    Returns:
        The path written.

    Raises:
        PictureError: If a map has no points.
    """
    empty = [view.title for view in maps if not len(view.points)]
    if empty or not maps:
        raise PictureError(f"got maps without points: {empty}, expected some in each of {len(maps)}")
    span = np.ptp(maps[0].points[:, :2], axis=0)
    is_long = span[0] > span[1]  # then below each other, else beside
    size, rows = ((13.0, 4.0 + 4.2 * len(maps)), len(maps)) if is_long else ((7.0 * len(maps), 8.5), 1)
    figure, panels = dark_figure(len(maps), size, rows)
    figure.subplots_adjust(hspace=0.08)
    shades = [_shades_of(view, maps[0], manifest) for view in maps]
    for axes, view, shade in zip(panels, maps, shades):
        _draw(axes, view, shade, way)
    for axes in panels[1:]:
        axes.set_xlim(panels[0].get_xlim())
        axes.set_ylim(panels[0].get_ylim())
    for axes in panels:
        add_scale_bar(axes)
    if manifest is not None:
        add_class_legend(figure, [view.labels for view in maps], manifest.classes, manifest.colors)
    return save_figure(figure, path)


def _shades_of(view: MapView, first: MapView, manifest: Manifest | None) -> Array:
    """A colour for each point, ``(N, 3)``, 0..1."""
    if manifest is not None:
        shades: Array = readable_palette(manifest.colors)[view.labels]
        return shades
    from matplotlib import colormaps

    low, high = np.percentile(first.points[:, 2], [LOW, HIGH])
    shades = colormaps["turbo"](0.05 + 0.9 * np.clip((view.points[:, 2] - low) / max(high - low, 1e-3), 0, 1))[:, :3]
    return shades


def _draw(axes: Axes, view: MapView, shades: Array, way: Array) -> None:
    kept = np.arange(len(view.points))[:: -(-len(view.points) // MAX_DRAWN_POINTS)]
    points = view.points[kept]
    order = np.argsort(points[:, 2], kind="stable")  # the highest is seen
    seen = View(points[:, 0].astype(np.float64), points[:, 1].astype(np.float64), order, np.full(len(points), 0.6))
    draw_view(axes, seen, shades[kept], f"{view.title}, {len(view.points):,} points")
    if len(way) > 1:
        axes.plot(way[:, 0], way[:, 1], color=WAY_COLOR, linewidth=1.6)
        axes.text(way[-1, 0], way[-1, 1], "way of the sensor", color=FOREGROUND, fontsize=9, ha="left", va="bottom")
