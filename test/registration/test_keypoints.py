# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints and their descriptors."""

from functools import cache

import numpy as np
import pytest
from scipy.fft import idct

from kpconv_ros.geometry.se3 import motion_of_twist, transform_points
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.keypoints import KeypointConfig, compress_histograms, find_keypoints
from kpconv_ros.registration.map_tile import MapTile

VIEWPOINT = np.array([0.0, 0.0, 1.8])


@cache
def make_street(seed: int, count: int = 8_000) -> np.ndarray:
    """Ground, two facades with bays, poles and boxes: always the same, drawn anew with each seed."""
    layout, draw = np.random.default_rng(0), np.random.default_rng(seed)
    parts = [np.column_stack([draw.uniform(-20, 20, count), draw.uniform(-12, 12, count), np.zeros(count)])]
    for side in (-12.0, 12.0):
        x = draw.uniform(-20, 20, count // 2)
        depth = layout.uniform(0, 2.5, 20)[((x + 20) / 2).astype(int) % 20]
        parts.append(np.column_stack([x, side - np.sign(side) * depth, draw.uniform(0, 7, count // 2)]))
    for _ in range(25):
        place = layout.uniform([-18, -9], [18, 9])
        size = layout.uniform([0.3, 0.3, 1.0], [2.5, 1.5, 4.0])
        box = draw.uniform(-0.5, 0.5, (count // 40, 3))
        face = draw.integers(0, 3, len(box))
        box[np.arange(len(box)), face] = np.sign(box[np.arange(len(box)), face]) * 0.5
        parts.append(box * size + [*place, size[2] / 2])
    cloud = np.concatenate(parts)
    return cloud + draw.normal(0, 0.01, cloud.shape)


@cache
def street_tile() -> MapTile:
    return find_keypoints(make_street(1), VIEWPOINT)


def test_keypoints_and_descriptors_are_found_again_when_the_map_is_turned() -> None:
    motion = motion_of_twist(np.array([20.0, -70.0, 5.0, 1.0, -0.5, 2.0]))
    first = street_tile()
    moved_viewpoint = transform_points(motion, VIEWPOINT[None])[0]
    second = find_keypoints(transform_points(motion, make_street(2)), moved_viewpoint)
    apart = np.linalg.norm(transform_points(motion, first.points)[:, None] - second.points[None], axis=2)
    pairs = [(i, j) for i, j in enumerate(apart.argmin(1)) if apart[i, j] < 0.4]
    assert len(pairs) > 0.15 * len(first.points) > 10  # by chance it would be one in a hundred
    unlike = np.linalg.norm(first.descriptors[:, None].astype(float) - second.descriptors[None], axis=2)
    same = np.median([unlike[pair] for pair in pairs])
    assert same < 0.6 * np.median(unlike)


def test_the_most_salient_come_first() -> None:
    many = street_tile()
    few = find_keypoints(make_street(1), VIEWPOINT, KeypointConfig(max_points=20))
    assert len(few.points) == 20 < len(many.points)
    np.testing.assert_array_equal(few.points, many.points[:20])
    np.testing.assert_array_equal(few.descriptors, many.descriptors[:20])


def test_the_slow_part_of_a_histogram_is_kept() -> None:
    smooth = np.zeros((1, 3, 11))
    coefficients = np.zeros((1, 3, 11))
    coefficients[..., 0], coefficients[..., 1], coefficients[..., 4] = 100 / np.sqrt(11), 12.0, -7.0
    smooth = idct(coefficients, axis=2, norm="ortho")
    levels = compress_histograms(smooth.reshape(1, 33)).reshape(3, 4)
    np.testing.assert_array_equal(levels, np.tile(np.rint(np.array([12.0, 0, 0, -7.0]) * 1.27), (3, 1)))


def test_a_map_without_salient_points_a_wrong_shape_and_nan_are_refused() -> None:
    flat = np.column_stack([np.random.default_rng(0).uniform(-5, 5, (2000, 2)), np.zeros(2000)])
    with pytest.raises(RegistrationError, match="at least 4 keypoints"):
        find_keypoints(flat[:3], VIEWPOINT)
    with pytest.raises(RegistrationError, match="points: expected at least 1 points, got 0"):
        find_keypoints(np.zeros((0, 3)), VIEWPOINT)
    with pytest.raises(RegistrationError, match="points: expected finite"):
        find_keypoints(np.full((9, 3), np.nan), VIEWPOINT)
    with pytest.raises(RegistrationError, match="viewpoint"):
        find_keypoints(flat, np.zeros(2))
