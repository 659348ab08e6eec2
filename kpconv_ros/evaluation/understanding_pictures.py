# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a network does: values on a cloud, kernel points among their neighbours, scores over K."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kpconv_ros.evaluation.camera import look_from_behind
from kpconv_ros.evaluation.pictures import (
    BACKGROUND,
    FOREGROUND,
    UNLABELED_COLOR,
    PictureError,
    dark_figure,
    draw_view,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
COLOR_MAP = "plasma"
DARKEST = 0.2  # of the colour map: what is below it could not be told from the background
PLACE_COLOR = "#35ff6b"
VALUE_BAR = (0.35, 0.07, 0.3, 0.015)  # left, bottom, width, height of the figure


def draw_values(
    points: Array,
    values: Sequence[Array],
    titles: Sequence[str],
    path: str | Path,
    meaning: str,
    decades: float = 0.0,
    place: Array | None = None,
) -> Path:
    """Draw one or several values of each point, each in a panel, seen from above and behind.

    Args:
        points: ``(N, 3)`` metres, z up, around the middle of the picture.
        values: Each ``(N,)``, a panel each, coloured relative to its largest one; what is not above 0 is grey.
        titles: Text above each panel.
        path: Picture to write.
        meaning: Text at the colour bar.
        decades: Powers of ten that the colours span, downwards from the largest value; 0 colours linearly.
        place: ``(3,)`` position to mark, metres.

    Raises:
        PictureError: If there are no values, or not one of each point.
    """
    if not values or any(len(of_panel) != len(points) for of_panel in values):
        raise PictureError(f"got {[len(of_panel) for of_panel in values]} values, expected {len(points)}, one a point")
    rows = 1 if len(values) < 3 else 2
    figure, panels = dark_figure(len(values), (15.0, 4.6 * rows + 0.9), rows)
    figure.subplots_adjust(bottom=0.12, top=0.95, hspace=0.08)
    view = look_from_behind(points, distance=17.0, height=11.0)
    marked = None if place is None else look_from_behind(place[None], distance=17.0, height=11.0)
    for axes, of_panel, title in zip(panels, values, titles):
        strengths = relative_strengths(of_panel, decades)
        faint_first = view.order[np.argsort(strengths[view.order] > 0, kind="stable")]
        draw_view(axes, view._replace(order=faint_first), shade(strengths), title)
        if marked is not None:
            axes.plot(marked.across, marked.up, "o", color=PLACE_COLOR, markersize=7, markeredgecolor="black")
    lowest = 10.0**-decades if decades else 0.0
    _add_color_bar(figure, meaning, lowest, decades > 0)
    return save_figure(figure, path)


def relative_strengths(values: Array, decades: float = 0.0) -> Array:
    """Return where values ``(N,)`` lie between the smallest shown, 0, and the largest, 1; not above 0 is 0.

    With ``decades``, by the logarithm, and what is as many powers of ten below the largest value is 0.
    """
    top = float(values.max(initial=0.0))
    shares = np.clip(values / top, 0.0, 1.0) if top > 0 else np.zeros(len(values))
    if not decades:
        return np.asarray(shares, np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(1 + np.log10(shares) / decades, 0.0, 1.0), np.float64)


def shade(strengths: Array) -> Array:
    """Return colours ``(N, 3)``, 0..1, of strengths ``(N,)``, 0..1; grey for 0."""
    from matplotlib import colormaps

    shades = np.asarray(colormaps[COLOR_MAP](DARKEST + (1 - DARKEST) * strengths))[:, :3]
    shades[strengths <= 0] = np.array(UNLABELED_COLOR) / 255
    return shades


def draw_kernels(kernels: Sequence[Any], titles: Sequence[str], path: str | Path) -> Path:
    """Draw kernels among their neighbours, each from above and from the side; see :func:`kernel_figure`."""
    return save_figure(kernel_figure(kernels, titles), path)


def kernel_figure(kernels: Sequence[Any], titles: Sequence[str]) -> Figure:
    """Draw each kernel from above (upper row) and from the side (lower row), to scale.

    Args:
        kernels: :class:`kpconv_ros.networks.responses.PlacedKernel` each. A circle of radius sigma is a kernel point,
            brighter the larger its weights are; a cross is where the rigid one was, with a line to the deformed one;
            small dots are neighbours.
        titles: Text above each.

    Raises:
        PictureError: If there is none.
    """
    if not kernels:
        raise PictureError("got no kernels, expected one or more")
    figure, panels = dark_figure(2 * len(kernels), (4.6 * len(kernels), 9.2), 2)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.93, bottom=0.13, hspace=0.07, wspace=0.04)
    for column, (kernel, title) in enumerate(zip(kernels, titles)):
        for row, (axis, name) in enumerate(((1, "from above"), (2, "from the side"))):
            axes = panels[row * len(kernels) + column]
            _draw_kernel(axes, type(kernel)(*map(np.asarray, kernel)), axis)
            axes.set_title(f"{title}\n{name}" if row == 0 else name, color=FOREGROUND, fontsize=12, pad=6)
    _add_color_bar(figure, "size of the weights of a kernel point, relative to the largest", 0.0, False)
    return figure


def draw_ablation(scores: Sequence[tuple[int, float]], path: str | Path, title: str) -> Path:
    """Draw the score of each training ``(K, mIoU)`` as a dot over K, and a line through the means."""
    figure, (axes,) = dark_figure(1, (8.0, 5.0))
    figure.subplots_adjust(left=0.11, right=0.97, top=0.9, bottom=0.13)
    axes.set_axis_on()
    axes.set_aspect("auto")
    sizes = sorted({size for size, _ in scores})
    means = [float(np.mean([score for other, score in scores if other == size])) for size in sizes]
    axes.plot(sizes, means, color="#f5a742", linewidth=2, zorder=1)
    axes.scatter(*zip(*scores), color=FOREGROUND, zorder=2)
    axes.set_xticks(sizes)
    axes.set_xlabel("kernel points K", color=FOREGROUND)
    axes.set_ylabel("mIoU of left-out spheres", color=FOREGROUND)
    axes.set_title(title, color=FOREGROUND, fontsize=12)
    axes.tick_params(colors=FOREGROUND)
    axes.grid(color="#2a3138")
    for side in axes.spines.values():
        side.set_color("#2a3138")
    return save_figure(figure, path)


def _draw_kernel(axes: Axes, kernel: Any, axis: int) -> None:
    """Draw x to the right and the coordinate ``axis`` upwards."""
    from matplotlib.collections import EllipseCollection

    plane = [0, axis]
    placed, rigid, neighbors = kernel.points[:, plane], kernel.rigid_points[:, plane], kernel.neighbors[:, plane]
    strengths = relative_strengths(kernel.weights)
    reach = 1.08 * max(np.abs(kernel.points).max() + kernel.sigma, np.linalg.norm(kernel.neighbors, axis=1).max())
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    depth = np.argsort(kernel.points[:, 3 - axis] * (1 if axis == 1 else -1), kind="stable")  # near ones last
    width = np.full(len(placed), 2 * kernel.sigma)
    circles = EllipseCollection(
        width, width, np.zeros(len(placed)), units="xy", offsets=placed[depth], offset_transform=axes.transData,
        facecolors=np.c_[shade(strengths)[depth], np.full(len(placed), 0.16)], edgecolors=shade(strengths)[depth],
    )  # fmt: skip
    axes.add_collection(circles)
    axes.scatter(neighbors[:, 0], neighbors[:, 1], s=14, color="white", linewidths=0, zorder=4)
    axes.scatter(placed[depth, 0], placed[depth, 1], s=40, c=shade(strengths)[depth], zorder=3)
    if not np.array_equal(placed, rigid):
        axes.plot(*np.stack([rigid, placed], 1).transpose(2, 1, 0), color="#8a949e", linewidth=1)
        axes.scatter(rigid[:, 0], rigid[:, 1], marker="x", s=24, color="#8a949e", zorder=2)
    axes.plot(0, 0, "+", color=PLACE_COLOR, markersize=10)
    axes.plot([-reach, -reach + kernel.sigma], [-0.97 * reach] * 2, color=FOREGROUND, linewidth=3)
    axes.text(-reach, -0.94 * reach, f"\u03c3 = {float(kernel.sigma):.2g} m", color=FOREGROUND, fontsize=10)


def _add_color_bar(figure: Figure, meaning: str, lowest: float, logarithmic: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    norm = LogNorm(lowest, 1.0) if logarithmic else Normalize(0.0, 1.0)
    colors = ListedColormap(shade(np.linspace(0.001, 1, 256)))
    bar = figure.colorbar(ScalarMappable(norm, colors), cax=figure.add_axes(VALUE_BAR), orientation="horizontal")
    bar.ax.tick_params(colors=FOREGROUND)
    bar.outline.set_edgecolor(BACKGROUND)
    bar.ax.set_title(meaning, color=FOREGROUND, fontsize=11, pad=4)
