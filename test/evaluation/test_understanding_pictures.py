# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a network does."""

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from kpconv_ros.evaluation.pictures import UNLABELED_COLOR, PictureError
from kpconv_ros.evaluation.understanding_pictures import (
    draw_ablation,
    draw_kernels,
    draw_values,
    kernel_figure,
    relative_strengths,
    shade,
)
from kpconv_ros.networks.responses import PlacedKernel


def make_kernel(shift: float = 0.0) -> PlacedKernel:
    """Return three kernel points, moved from where they were, and two neighbours."""
    rigid = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.1, 0.2], [-0.2, 0.3, -0.3]])
    neighbors = torch.tensor([[0.4, 0.0, 0.1], [0.0, -0.4, 0.0]])
    return PlacedKernel(rigid + shift, rigid, neighbors, torch.tensor([1.0, 2.0, 4.0]), 0.2)


def test_strengths_are_shares_of_the_largest_or_their_logarithms() -> None:
    values = np.array([-1.0, 0.0, 0.01, 0.1, 10.0])
    assert relative_strengths(values).tolist() == pytest.approx([0, 0, 0.001, 0.01, 1])
    assert relative_strengths(values, 3.0).tolist() == pytest.approx([0, 0, 0, 1 / 3, 1])
    assert not relative_strengths(np.array([-1.0, 0.0])).any() and len(relative_strengths(np.zeros(0))) == 0


def test_what_is_not_above_zero_is_grey_and_the_rest_gets_brighter() -> None:
    shades = shade(np.array([0.0, 0.1, 0.5, 1.0]))
    assert shades[0].tolist() == pytest.approx([channel / 255 for channel in UNLABELED_COLOR])
    assert (np.diff(shades[1:] @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_the_points_of_largest_value_have_its_colour(tmp_path) -> None:
    points = np.random.default_rng(0).uniform([0, -5, -1], [10, 5, 0], (3000, 3))
    values = (points[:, 1] > 0).astype(float)
    path = draw_values(points, [values, 1 - values, 0 * values], ["a", "b", "c"], tmp_path / "v.png", "what", 2.0)
    image = imread(path)[:, :, :3]
    brightest = (np.abs(image - shade(np.ones(1))[0]).max(axis=2) < 0.02)[: int(0.85 * len(image))]
    rows, columns = brightest.nonzero()
    middle_row, middle = 0.46 * len(image), image.shape[1] / 2
    upper = rows < middle_row
    assert upper.sum() > 2000 and not (~upper).any()  # the third panel, below, is all grey
    # the left of the street is left in the picture: high in the left panel's left half, and in the right one's right
    assert columns[upper & (columns < middle)].mean() < middle / 2
    assert columns[upper & (columns > middle)].mean() > 1.5 * middle


@pytest.mark.parametrize("values", [[], [np.zeros(3), np.zeros(2)]])
def test_values_that_do_not_fit_the_points_are_refused(values, tmp_path) -> None:
    with pytest.raises(PictureError, match="expected 3, one a point"):
        draw_values(np.zeros((3, 3)), values, ["a", "b"], tmp_path / "no.png", "what")


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_the_drawn_kernel_points_are_the_layers_own(shift, tmp_path) -> None:
    kernel = make_kernel(shift)
    assert draw_kernels([kernel], ["k"], tmp_path / "kernels.png").stat().st_size > 10_000
    above, side = kernel_figure([kernel], ["k"]).axes[:2]
    for axes, axis in ((above, 1), (side, 2)):
        circles, neighbors, dots, *crosses = axes.collections
        expected = kernel.points[:, [0, axis]].tolist()
        for drawn in (circles, dots):
            np.testing.assert_allclose(sorted(drawn.get_offsets().tolist()), sorted(expected), atol=1e-6)
        np.testing.assert_allclose(circles.get_widths(), 2 * kernel.sigma)
        np.testing.assert_allclose(neighbors.get_offsets(), kernel.neighbors[:, [0, axis]], atol=1e-6)
        heaviest = np.array(expected[2])
        brightest = np.linalg.norm(dots.get_offsets() - heaviest, axis=1).argmin()
        np.testing.assert_allclose(dots.get_facecolors()[brightest][:3], shade(np.ones(1))[0])
        assert len(crosses) == (shift > 0)
        if crosses:
            np.testing.assert_allclose(crosses[0].get_offsets(), kernel.rigid_points[:, [0, axis]], atol=1e-6)


def test_no_kernel_is_refused(tmp_path) -> None:
    with pytest.raises(PictureError, match="got no kernels"):
        draw_kernels([], [], tmp_path / "no.png")


def test_an_ablation_is_drawn(tmp_path) -> None:
    path = draw_ablation([(5, 0.3), (5, 0.4), (15, 0.6)], tmp_path / "deep" / "a.png", "title")
    image = (imread(path)[:, :, :3] * 255).round().astype(int)
    assert (np.abs(image - (0xF5, 0xA7, 0x42)).max(axis=2) <= 3).sum() > 300  # the line through the means
