# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of chosen points."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib")

from matplotlib.image import imread

from kpconv_ros.evaluation.sampler_pairs import Candidates
from kpconv_ros.evaluation.sampler_pictures import KINDS, draw_samples
from kpconv_ros.registration.surface import Surface


def num_pixels(path: Path, color: tuple[float, float, float], columns: slice) -> int:
    """Count the pixels of a colour in some columns of a picture, without the legend below."""
    picture = imread(path)[:, :, :3]
    height, width = picture.shape[:2]
    part = picture[: int(0.9 * height), int(columns.start * width) : int(columns.stop * width)]
    return int((np.abs(part - np.array(color)).max(2) < 0.03).sum())


def test_each_panel_shows_its_points_in_the_colour_of_their_kind(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-30, 30, (300, 3)).astype(np.float32)
    normals = np.zeros((300, 3), np.float32)
    normals[:150, 2], normals[150:, 0] = 1.0, 1.0  # ground, then walls
    scan = Candidates(points, Surface(normals, np.zeros(300, np.float32), np.ones(300, np.float32)))
    rows = {"ground": np.arange(40), "walls": np.arange(150, 190)}
    path = draw_samples(scan, rows, tmp_path / "pictures" / "samples.png")
    left, right = slice(0.0, 0.5), slice(0.5, 1.0)
    assert num_pixels(path, KINDS["ground"], left) > 300 and num_pixels(path, KINDS["upright"], right) > 300
    assert num_pixels(path, KINDS["ground"], right) == 0 == num_pixels(path, KINDS["upright"], left)
