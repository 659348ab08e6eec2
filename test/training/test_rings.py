# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rings of a lidar, and leaving some of them out."""

import numpy as np
import pytest

from kpconv_ros.data.clips import Clip
from kpconv_ros.training.rings import elevation_limits, rings_of_points
from kpconv_ros.training.spheres import AugmentationConfig, SphereCutter

NUM_RINGS, NUM_AZIMUTHS, NUM_SCANS = 16, 200, 3
TRUE_RINGS = np.repeat(np.arange(NUM_RINGS), NUM_AZIMUTHS)


@pytest.fixture
def lidar_clip() -> Clip:
    """Scans of a lidar of 16 rings from -20 to +10 degrees that moves 2 m each; points at random ranges."""
    generator = np.random.default_rng(0)
    elevations = np.deg2rad(np.linspace(-20, 10, NUM_RINGS))[TRUE_RINGS]
    azimuths = np.tile(np.linspace(0, 2 * np.pi, NUM_AZIMUTHS, endpoint=False), NUM_RINGS)
    rays = np.stack(
        [np.cos(elevations) * np.cos(azimuths), np.cos(elevations) * np.sin(azimuths), np.sin(elevations)], 1
    )
    sensors = np.array([[2.0 * scan, 0.0, 0.0] for scan in range(NUM_SCANS)])
    points = tuple((rays * generator.uniform(2, 9, (len(rays), 1)) + at).astype(np.float32) for at in sensors)
    intensity, labels = np.zeros(len(rays), np.float32), np.ones(len(rays), np.uint8)
    return Clip(points, (intensity,) * NUM_SCANS, (labels,) * NUM_SCANS, sensors, sensors[:, 2] - 1.9)


def make_cutter(clip: Clip, ring_drop: float, thinning: float = 0.0) -> SphereCutter:
    augmentation = AugmentationConfig(ring_drop=ring_drop, rings=NUM_RINGS, thinning=thinning)
    return SphereCutter([clip], 1, 0.3, 6.0, ("one",), 10_000, augmentation)


def test_rings_are_found_again_from_any_part_of_a_scan(lidar_clip: Clip) -> None:
    for points, at in zip(lidar_clip.points, lidar_clip.sensors.astype(np.float32), strict=True):
        limits = elevation_limits(points, at)
        assert np.rad2deg(limits) == pytest.approx([-20, 10], abs=1e-3)
        part = np.arange(100, len(points), 3)
        assert np.array_equal(rings_of_points(points[part], at, limits, NUM_RINGS), TRUE_RINGS[part])


def test_a_scan_of_nothing_or_of_one_ring_has_rings_within_range() -> None:
    nothing, at = np.zeros((0, 3), np.float32), np.zeros(3, np.float32)
    assert len(rings_of_points(nothing, at, elevation_limits(nothing, at), 4)) == 0
    flat = np.array([[1, 0, 0], [0, 2, 0]], np.float32)
    assert rings_of_points(flat, at, elevation_limits(flat, at), 4).tolist() == [0, 0]
    far_off = np.array([[1, 0, 9], [1, 0, -9]], np.float32)
    assert rings_of_points(far_off, at, (-0.1, 0.1), 4).tolist() == [3, 0]


def test_whole_rings_are_left_out_the_same_in_all_scans(lidar_clip: Clip) -> None:
    center = np.array([3, 1, 0], np.float32)
    every = make_cutter(lidar_clip, 0.0)._gather(np.random.default_rng(0), 0, 0, 2, center)
    some = make_cutter(lidar_clip, 1.0)._gather(np.random.default_rng(0), 0, 0, 2, center)
    rings = np.concatenate(
        [TRUE_RINGS[np.linalg.norm(points - center, axis=1) <= np.float32(6.0 * 1.05)] for points in lidar_clip.points]
    )  # of the points of the whole piece, scan by scan
    assert len(rings) == len(every.points) and set(rings) == set(range(NUM_RINGS))
    is_left = np.isin(every.points.view("V12").ravel(), some.points.view("V12").ravel())
    left = {ring for ring in range(NUM_RINGS) if is_left[rings == ring].any()}
    assert 0 < len(left) < NUM_RINGS
    assert np.array_equal(is_left, np.isin(rings, list(left)))


def test_rings_are_left_out_as_often_as_asked_and_never_by_default(lidar_clip: Clip) -> None:
    center = np.array([3, 1, 0], np.float32)
    generator, cutter = np.random.default_rng(1), make_cutter(lidar_clip, 0.5)
    sizes = np.array([len(cutter._gather(generator, 0, 2, 2, center).points) for _ in range(200)])
    assert 0.35 < (sizes < sizes.max()).mean() < 0.65
    assert AugmentationConfig().ring_drop == 0.0 and make_cutter(lidar_clip, 0.0).limits == []
    drawn = np.random.default_rng(2)
    make_cutter(lidar_clip, 0.0)._gather(drawn, 0, 0, 2, center)
    assert drawn.random() == np.random.default_rng(2).random()  # trainings without it stay what they were


def test_spheres_are_cut_from_what_is_left(lidar_clip: Clip) -> None:
    sparse = [len(make_cutter(lidar_clip, 1.0).cut(np.random.default_rng(seed)).points) for seed in range(8)]
    dense = [len(make_cutter(lidar_clip, 0.0).cut(np.random.default_rng(seed)).points) for seed in range(8)]
    assert min(sparse) >= 16 and sum(sparse) < 0.9 * sum(dense)
