# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures are written, show the colours of the labels, and refuse arrays that do not fit."""

import subprocess
import sys

import numpy as np
import pytest

from kpconv_ros.evaluation import pictures
from kpconv_ros.evaluation.pictures import (
    PictureError,
    draw_comparison,
    draw_labelled_cloud,
    draw_map_from_above,
    readable_palette,
)

CLASSES = ("unlabeled", "road", "car", "vegetation")
COLORS = ((0, 0, 0), (255, 0, 255), (100, 150, 245), (0, 175, 0))


def street(num_points=4000):
    """A flat street with labels by side."""
    generator = np.random.default_rng(0)
    points = generator.uniform([-30, -15, -2], [30, 15, 1], (num_points, 3)).astype(np.float32)
    return points, (1 + (points[:, 1] > 0) + (points[:, 1] > 8)).astype(np.uint8)


def pixels_of(path, color):
    """How many pixels of a picture have a colour."""
    from matplotlib.image import imread

    image = (imread(path)[:, :, :3] * 255).round().astype(int)
    return int((np.abs(image - np.array(color)).max(axis=2) <= 3).sum())


def test_a_cloud_is_drawn_in_the_colours_of_its_labels(tmp_path):
    points, labels = street()
    path = draw_labelled_cloud(points, labels, CLASSES, COLORS, tmp_path / "deep" / "cloud.png")
    assert all(pixels_of(path, color) > 500 for color in COLORS[1:])


def test_a_comparison_shows_what_only_one_side_has(tmp_path):
    points, labels = street()
    only_road = np.ones_like(labels)
    path = draw_comparison(points, only_road, labels, CLASSES, COLORS, tmp_path / "both.png")
    assert pixels_of(path, COLORS[3]) > 500
    assert pixels_of(path, COLORS[1]) > pixels_of(path, COLORS[2])


def test_a_map_is_drawn_and_a_long_one_lies_across_the_page(tmp_path):
    points, labels = street()
    path = draw_map_from_above(points[:, [1, 0, 2]], labels, CLASSES, COLORS, tmp_path / "map.png")
    assert all(pixels_of(path, color) > 500 for color in COLORS[1:])


@pytest.mark.parametrize("draw", [draw_labelled_cloud, draw_map_from_above])
def test_one_point_and_non_finite_points_make_a_picture(draw, tmp_path):
    points = np.array([[5, 1, 0], [np.nan, 0, 0], [np.inf, 0, 0]], dtype=np.float32)
    assert draw(points, np.array([1, 1, 2]), CLASSES, COLORS, tmp_path / "one.png").stat().st_size > 1000


def test_points_that_are_all_equal_make_a_picture(tmp_path):
    points = np.ones((50, 3), dtype=np.float32)
    assert draw_map_from_above(points, np.ones(50, int), CLASSES, COLORS, tmp_path / "same.png").exists()


def test_too_many_points_are_thinned_out(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_DRAWN_POINTS", 100)
    points, labels = street()
    few, _ = pictures._drawable(points, [labels], CLASSES, COLORS)
    assert 50 <= len(few) <= 100


@pytest.mark.parametrize(
    ("num_points", "labels", "text"),
    [(3, [1, 1], "got 2 labels, expected 3"), (2, [1, 7], "got labels 1 .. 7"), (0, [], "none of them finite")],
)
def test_arrays_that_do_not_fit_are_refused(num_points, labels, text, tmp_path):
    with pytest.raises(PictureError, match=text):
        draw_labelled_cloud(np.zeros((num_points, 3)), np.array(labels, int), CLASSES, COLORS, tmp_path / "no.png")


def test_dark_colours_are_lifted_and_bright_ones_kept():
    palette = readable_palette(((0, 0, 0), (75, 0, 75), (255, 240, 150)))
    assert palette[1] @ [0.2126, 0.7152, 0.0722] == pytest.approx(pictures.MIN_LUMINANCE)
    assert np.allclose(palette[2] * 255, (255, 240, 150))


def test_importing_the_module_does_not_load_matplotlib():
    check = "import sys, kpconv_ros.evaluation.pictures; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
