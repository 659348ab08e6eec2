# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live segmentation of posed scans."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import Model, load_model
from kpconv_ros.geometry.se3 import PoseError
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig
from kpconv_ros.pipelines.segmenter import Segmenter
from kpconv_ros.pipelines.sphere_classifier import PipelineError

SENSOR_HEIGHT = 1.7
CONFIG = LiveSegmenterConfig(sensor_height=SENSOR_HEIGHT, time_budget=10.0, segment_range=30.0)


class StepClock:
    """Time that goes on by one step at each look."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class CostClock:
    """Time that goes on by what the network's points cost, and by nothing else."""

    def __init__(self, network: torch.nn.Module, seconds_per_point: float) -> None:
        self.network, self.seconds_per_point, self.before = network, seconds_per_point, sum(network.sphere_sizes)

    def __call__(self) -> float:
        return (sum(self.network.sphere_sizes) - self.before) * self.seconds_per_point


def street(num_points: int = 20_000, seed: int = 0) -> np.ndarray:
    """A ground and two walls, (N, 3) float32 in the sensor's frame."""
    generator = np.random.default_rng(seed)
    points = generator.uniform((-8, -5, 0), (8, 5, 4), (num_points, 3))
    kind = generator.integers(0, 3, num_points)
    points[kind == 0, 2] = 0.0
    points[kind == 1, 1] = 5.0
    points[kind == 2, 1] = -5.0
    return (points - (0, 0, SENSOR_HEIGHT)).astype(np.float32)


def pose_at(x: float, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = x, y, z
    return pose


def test_over_a_still_scene_the_labels_converge_to_those_of_offline_voting(model: Model) -> None:
    points = street()
    offline = Segmenter(model).segment(points, num_votes=10, sensor_origin=np.array([0, 0, 1.73 - SENSOR_HEIGHT]))
    segmenter = LiveSegmenter(model, dataclasses.replace(CONFIG, time_budget=0.0, max_potential=50.0, vote_memory=50.0))
    agreement = []
    for step in range(400):
        scan = segmenter.process(points, None, np.eye(4), 0.1 * step)
        agreement.append(float((scan.labels == offline.labels).mean()))
        assert scan.num_spheres == 1
    assert agreement[0] < 0.6
    assert agreement[-1] > 0.97
    assert np.mean(agreement[-50:]) > np.mean(agreement[50:100])


def test_a_real_network_converges_too(model_folder: Path) -> None:
    points = street(8000)
    segmenter = Segmenter.from_pretrained(str(model_folder), "cpu")
    live = LiveSegmenter(load_model(model_folder), dataclasses.replace(CONFIG, max_potential=50.0, vote_memory=50.0))
    offline = segmenter.segment(points, num_votes=8, sensor_origin=np.array([0, 0, 1.73 - SENSOR_HEIGHT]))
    for step in range(3):
        live.configure(dataclasses.replace(live.config, time_budget=0.3))
        scan = live.process(points, None, np.eye(4), 0.1 * step)
    assert (scan.labels > 0).all()
    assert (scan.labels == offline.labels).mean() > 0.9


def test_every_point_has_a_label_once_there_is_time(model: Model) -> None:
    scan = LiveSegmenter(model, CONFIG).process(street(), None, np.eye(4), 0.0)
    assert (scan.labels > 0).all() and (scan.confidence > 1 / 3).all()
    assert scan.labels.dtype == np.uint8 and scan.confidence.dtype == np.float32
    assert set(scan.timings_ms) == {"preprocess", "inference", "postprocess", "total"}
    assert not scan.was_reset


def test_the_time_budget_bounds_the_spheres_and_one_is_always_run(model: Model) -> None:
    clock = StepClock(0.001)
    segmenter = LiveSegmenter(model, dataclasses.replace(CONFIG, time_budget=0.05, sphere_batch=1), clock)
    counts = [segmenter.process(street(), None, np.eye(4), 0.1 * step).num_spheres for step in range(5)]
    assert 3 <= counts[-1] <= 25  # each sphere looks at the clock a few times, one millisecond each
    segmenter.configure(dataclasses.replace(segmenter.config, time_budget=0.0))
    assert segmenter.process(street(), None, np.eye(4), 1.0).num_spheres == 1


def test_the_first_sphere_is_cut_to_the_budget_but_not_below_its_least_size(model: Model) -> None:
    whole = LiveSegmenter(model, dataclasses.replace(CONFIG, sphere_batch=1))
    whole.process(street(), None, np.eye(4), 0.0)
    assert min(model.network.sphere_sizes[:3]) > 400  # what the first spheres hold if there is time
    for time_budget, expected in ((0.03, (100, 300)), (0.0, (50, 50))):
        clock = CostClock(model.network, seconds_per_point=1e-4)
        config = dataclasses.replace(CONFIG, time_budget=time_budget, min_sphere_points=50, sphere_batch=1)
        segmenter = LiveSegmenter(model, config, clock)
        segmenter.process(street(), None, np.eye(4), 0.0)  # measures what a point costs
        scan = segmenter.process(street(), None, np.eye(4), 0.1)
        assert scan.num_spheres == 1
        assert expected[0] <= model.network.sphere_sizes[-1] <= expected[1]
        assert scan.timings_ms["total"] <= 1e3 * max(time_budget, 0.005) + 1e-6


def test_a_cut_sphere_leaves_the_places_it_did_not_reach_waiting(model: Model) -> None:
    segmenter = LiveSegmenter(model, dataclasses.replace(CONFIG, time_budget=0.0, min_sphere_points=50))
    for step in range(3000):
        scan = segmenter.process(street(), None, np.eye(4), 1e-3 * step)
        if segmenter.map_snapshot().labels.size == scan.num_voxels:
            return
    raise AssertionError(f"{segmenter.map_snapshot().labels.size} of {scan.num_voxels} voxels have votes of their own")


def test_a_scene_that_was_tested_enough_costs_no_more_spheres(model: Model) -> None:
    segmenter = LiveSegmenter(model, dataclasses.replace(CONFIG, max_potential=1.0))
    assert segmenter.process(street(), None, np.eye(4), 0.0).num_spheres > 5
    again = segmenter.process(street(), None, np.eye(4), 0.0)
    assert again.num_spheres == 0 and (again.labels > 0).all()


def test_spheres_are_batched(model: Model) -> None:
    clouds = [LiveSegmenter(model, dataclasses.replace(CONFIG, sphere_batch=batch)) for batch in (1, 4)]
    first, second = (segmenter.process(street(), None, np.eye(4), 0.0) for segmenter in clouds)
    assert first.num_spheres == second.num_spheres
    np.testing.assert_array_equal(first.labels, second.labels)


def test_time_jumping_back_empties_the_map(model: Model) -> None:
    segmenter = LiveSegmenter(model, CONFIG)
    segmenter.process(street(), None, pose_at(0), 10.0)
    assert not segmenter.process(street(), None, pose_at(5), 10.0).was_reset
    size = segmenter.process(street(), None, pose_at(10), 10.1).num_voxels
    again = segmenter.process(street(), None, pose_at(10), 2.0)
    assert again.was_reset and again.num_voxels < 0.6 * size
    assert not segmenter.process(street(), None, pose_at(10), 2.1).was_reset


def test_without_a_pose_each_scan_is_its_own_map(model: Model) -> None:
    segmenter = LiveSegmenter(model, CONFIG)
    first = segmenter.process(street(seed=1), None, None, 5.0)
    second = segmenter.process(street(seed=1), None, None, 4.0)
    assert first.num_voxels == second.num_voxels and not second.was_reset
    np.testing.assert_array_equal(first.labels, second.labels)
    posed = segmenter.process(street(seed=2), None, pose_at(100), 6.0)
    assert posed.num_voxels < 1.5 * first.num_voxels


@pytest.mark.parametrize("place", [(0.0, 0.0), (10_000.0, -10_000.0)])
def test_the_map_follows_the_sensor_wherever_it_is(model: Model, place: tuple[float, float]) -> None:
    points = street()
    segmenter = LiveSegmenter(model, dataclasses.replace(CONFIG, map_radius=10.0))
    labels = None
    for step in range(6):
        pose = pose_at(place[0] + 10.0 * step, place[1], z=3.0, yaw=0.3)
        scan = segmenter.process(points, None, pose, 0.1 * step)
        near = np.linalg.norm(points, axis=1) < 9.9
        assert (scan.labels[near] > 0).mean() > 0.999
        assert scan.num_voxels < 12_000
        labels = scan.labels
    height = points[:, 2] + SENSOR_HEIGHT
    middle = np.abs(height[:, None] - [0.0, 1.5, 3.0]).argmin(axis=1) + 1
    assert (labels == middle)[near].mean() > 0.9


def test_points_that_are_not_finite_or_too_far_are_unknown(model: Model) -> None:
    points = street()
    points[::7] = np.nan
    points[1::7, 1] = np.inf
    points[2::7, 0] += 1000.0
    scan = LiveSegmenter(model, CONFIG).process(points, None, np.eye(4), 0.0)
    for first in (0, 1, 2):
        assert not scan.labels[first::7].any() and not scan.confidence[first::7].any()
    assert (scan.labels[3::7] > 0).all()


@pytest.mark.parametrize("points", [np.empty((0, 3), np.float32), np.full((9, 3), np.nan, np.float32)])
def test_a_scan_without_points_is_answered(model: Model, points: np.ndarray) -> None:
    segmenter = LiveSegmenter(model, CONFIG)
    for pose in (np.eye(4), None):
        scan = segmenter.process(points, None, pose, 0.0)
        assert scan.labels.tolist() == [0] * len(points) and scan.num_spheres == 0
    assert len(segmenter.map_snapshot().points) == 0


def test_the_hard_cap_on_voxels_holds(model: Model) -> None:
    segmenter = LiveSegmenter(model, dataclasses.replace(CONFIG, max_voxels=2000))
    for step in range(5):
        scan = segmenter.process(street(seed=step), None, pose_at(0.5 * step), 0.1 * step)
        assert scan.num_voxels <= 2000
        assert (scan.labels > 0).any()


def test_the_snapshot_holds_the_voted_voxels(model: Model) -> None:
    segmenter = LiveSegmenter(model, CONFIG)
    points = street()
    scan = segmenter.process(points, np.full(len(points), 0.5), pose_at(3.0), 0.0)
    snapshot = segmenter.map_snapshot()
    assert len(snapshot.points) == len(snapshot.labels) == scan.num_voxels
    assert snapshot.points.dtype == np.float32 and abs(snapshot.points[:, 0].mean() - 3.0) < 0.5
    np.testing.assert_allclose(snapshot.intensity, 0.5, atol=1e-6)
    assert (snapshot.labels > 0).all() and (snapshot.confidence > 0).all()


def test_a_warm_segmenter_starts_empty_and_knows_its_cost(model: Model) -> None:
    segmenter = LiveSegmenter(model, CONFIG)
    segmenter.warm_up()
    assert len(segmenter.map_snapshot().points) == 0
    cold = LiveSegmenter(model, CONFIG).process(street(), None, np.eye(4), 0.0)
    warm = segmenter.process(street(), None, np.eye(4), 0.0)
    assert not warm.was_reset
    np.testing.assert_array_equal(warm.labels, cold.labels)


def test_wrong_input_is_told_with_got_and_expected(model: Model) -> None:
    segmenter = LiveSegmenter(model, CONFIG)
    with pytest.raises(PipelineError, match=r"points: expected shape \(N, 3\), got \(5, 4\)"):
        segmenter.process(np.zeros((5, 4)), None, None, 0.0)
    with pytest.raises(PipelineError, match=r"intensity: expected shape \(5,\), got \(4,\)"):
        segmenter.process(np.zeros((5, 3)), np.zeros(4), None, 0.0)
    with pytest.raises(PoseError):
        segmenter.process(np.zeros((5, 3)), None, np.zeros((4, 4)), 0.0)
    assert (segmenter.process(street(), None, np.eye(4), 0.0).labels > 0).all()
