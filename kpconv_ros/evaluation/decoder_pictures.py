# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of clouds and what decoders made of them, shaded by the direction of their surface."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.evaluation.camera import View
from kpconv_ros.evaluation.pictures import dark_figure, draw_view, save_figure

NEIGHBORS = 12
DOT_SIZE = 2.0  # relative to dots that would cover the panel side by side: points crowd in the face
TURN = 0.6  # radians to the side, so that the profile is seen
COLOR = np.array([0.93, 0.83, 0.72])
Cloud = NDArray[np.float32]


def draw_decoded(clouds: Mapping[str, NDArray[np.float32]], path: Path) -> Path:
    """Draw clouds ``(S, N, 3)`` of every column by name, y up: a column each, a row for each of the S clouds."""
    rows = len(next(iter(clouds.values())))
    figure, panels = dark_figure(rows * len(clouds), (2.7 * len(clouds), 3.6 * rows), rows)
    for column, (name, group) in enumerate(clouds.items()):
        for row, cloud in enumerate(group):
            turned = _turn(cloud.astype(np.float64))
            shades = COLOR * _brightness(turned)[:, None]
            order = np.argsort(turned[:, 2], kind="stable")
            view = View(turned[:, 0], turned[:, 1], order, np.full(len(cloud), DOT_SIZE))
            draw_view(panels[row * len(clouds) + column], view, shades, name if row == 0 else "")
    return save_figure(figure, path)


def _turn(cloud: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(TURN), np.sin(TURN)
    turned: NDArray[np.float64] = cloud @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    return turned


def _brightness(cloud: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of light on each point, from the normal of its neighbourhood; the camera holds the lamp."""
    _, rows = cKDTree(cloud).query(cloud, k=min(NEIGHBORS, len(cloud)))
    around = cloud[rows] - cloud[rows].mean(1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around))
    towards_lamp = np.abs(axes[:, :, 0] @ np.array([0.35, 0.35, 0.87]))
    depth = (cloud[:, 2] - cloud[:, 2].min()) / max(float(np.ptp(cloud[:, 2])), 1e-9)
    light: NDArray[np.float64] = np.clip(0.25 + 0.75 * towards_lamp, 0, 1) * (0.25 + 0.75 * depth)
    return light
