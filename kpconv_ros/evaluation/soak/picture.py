# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of the processes of a soak over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kpconv_ros.evaluation.pictures import BACKGROUND, FOREGROUND, save_figure
from kpconv_ros.evaluation.rate_pictures import COLORS


def draw_memory(samples: Sequence[Mapping[str, Any]], title: str, path: Path) -> Path:
    """Draw memory over hours, resident in full and proportional dotted, a colour for each process.

    Args:
        samples: As in the notes of a soak.
        title: Above the picture.
        path: Picture to write; its folder is made.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 5.6), dpi=110, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, color in zip(sorted({name for sample in samples for name in sample["processes"]}), COLORS):
        seen = [sample for sample in samples if name in sample["processes"]]
        hours = [sample["seconds"] / 3600.0 for sample in seen]
        for kind, style in (("rss_mb", "-"), ("pss_mb", ":")):
            values = [sample["processes"][name][kind] for sample in seen]
            axes.plot(hours, values, style, color=color, linewidth=1.4, label=name if kind == "rss_mb" else None)
    axes.set_title(title, color=FOREGROUND)
    axes.set_xlabel("hours", color=FOREGROUND)
    axes.set_ylabel("memory [MiB]: resident, dotted proportional", color=FOREGROUND)
    axes.set_ylim(bottom=0.0)
    axes.set_facecolor(BACKGROUND)
    axes.grid(color="#2a3138")
    axes.tick_params(colors=FOREGROUND)
    axes.legend(facecolor=BACKGROUND, labelcolor=FOREGROUND, fontsize=9, loc="upper right")
    figure.tight_layout()
    return save_figure(figure, path)
