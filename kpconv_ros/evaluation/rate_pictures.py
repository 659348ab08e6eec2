# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves of rate and distortion of map tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kpconv_ros.evaluation.pictures import BACKGROUND, FOREGROUND, save_figure

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
COLORS = ("#ffd166", "#ef476f", "#06d6a0", "#4cc9f0", "#b794f6", "#f4a261", "#a0a8b0")


def draw_rates(real: Rows, simulated: Rows, path: Path) -> Path:
    """Draw Chamfer over bytes for real and simulated tiles, a line for each codec.

    Args:
        real: Rows of each budget, as in ``docs/results/transmission.json``.
        simulated: Likewise.
        path: Picture to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 5.6), dpi=110, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    for axes, rows, title in zip(figure.subplots(1, 2, sharey=True), (real, simulated), ("real", "simulated")):
        for (codec, points), color in zip(_lines(rows).items(), COLORS, strict=False):
            width = 2.6 if codec.startswith("neural_qaad") else 1.4
            axes.loglog(*zip(*points), marker="o", markersize=4, linewidth=width, color=color, label=codec)
        axes.set_facecolor(BACKGROUND)
        axes.set_title(f"{title} tiles", color=FOREGROUND)
        axes.set_xlabel("bytes of a packet", color=FOREGROUND)
        axes.set_xticks([64, 128, 256, 512, 1024, 4096], ["64", "128", "256", "512", "1024", "4096"])
        axes.set_yticks([0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0], ["0.06", "0.1", "0.15", "0.2", "0.3", "0.5", "1"])
        axes.minorticks_off()
        axes.grid(color="#2a3138")
        axes.tick_params(colors=FOREGROUND)
    figure.axes[0].set_ylabel("Chamfer [m]", color=FOREGROUND)
    figure.axes[1].legend(facecolor=BACKGROUND, labelcolor=FOREGROUND, fontsize=9)
    figure.tight_layout()
    return save_figure(figure, path)


def _lines(rows: Rows) -> dict[str, list[tuple[float, float]]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for of_budget in rows.values():
        for row in of_budget:
            lines.setdefault(row["codec"], []).append((row["bytes"], row["chamfer_m"]))
    return lines
