# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spheres as the network gets them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import Model
from kpconv_ros.mapping.sphere import Sphere
from kpconv_ros.mapping.sphere_voting import PickedSphere
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig
from kpconv_ros.pipelines.segmenter import Segmenter
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier


def one_sphere(num_points: int = 200) -> PickedSphere:
    points = np.random.default_rng(0).normal(0, 1, (num_points, 3)).astype(np.float32)
    zeros = np.zeros(num_points, np.float32)
    return PickedSphere(Sphere(points, zeros, zeros, np.arange(num_points)), np.zeros(3), 3.0)


def test_every_view_is_turned_about_the_vertical_by_another_angle(model: Model) -> None:
    picked = one_sphere()
    SphereClassifier(model).classify([picked] * 6, 0.0)
    views = [view.numpy() for view in model.network.seen]
    expected = picked.sphere.points @ picked.sphere.points.T  # dot products tell a rigid turn or mirroring
    angles = []
    for index, view in enumerate(views):
        np.testing.assert_array_equal(view[:, 2], picked.sphere.points[:, 2])
        np.testing.assert_allclose(view @ view.T, expected, atol=1e-4)
        turn = np.linalg.lstsq(picked.sphere.points, view, rcond=None)[0]
        assert np.linalg.det(turn) * (-1) ** index > 0.99
        angles.append(np.arctan2(turn[0, 1], turn[0, 0]))
    assert np.diff(np.sort(angles)).min() > np.radians(15)


def test_a_restarted_one_sees_the_same_views(model: Model) -> None:
    classifier, picked = SphereClassifier(model), one_sphere()
    for _ in range(2):
        classifier.classify([picked] * 3, 0.0)
        classifier.restart()
    views = model.network.seen
    assert all(one.equal(other) for one, other in zip(views[:3], views[3:], strict=True))
    assert not views[0].equal(views[1])


@pytest.mark.parametrize(
    "make", [SphereClassifier, Segmenter, lambda model: LiveSegmenter(model, LiveSegmenterConfig())]
)
def test_a_network_that_needs_colours_is_refused(model: Model, make: Callable[[Model], object]) -> None:
    features = ("one", "red", "green", "blue")
    coloured = dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, features=features))
    with pytest.raises(PipelineError, match="model height: expected features that a map of scans has, got red, green"):
        make(coloured)


class CrampedNetwork(torch.nn.Module):
    """Gives the height as logit, if the batch has few enough spheres; notes how many came."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.sizes: list[int] = []

    def forward(self, points: torch.Tensor, lengths: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(lengths))
        if len(lengths) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.stack([points[:, 2], torch.zeros(len(points)), torch.full((len(points),), -100.0)], 1)


def test_a_batch_that_does_not_fit_into_memory_is_halved_and_so_are_the_next(model: Model) -> None:
    spheres = [one_sphere(num) for num in (50, 70, 20, 90, 10)]
    network = CrampedNetwork(2)
    classifier = SphereClassifier(dataclasses.replace(model, network=network))
    found = classifier.classify(spheres, 0.0)
    assert network.sizes == [5, 2, 1, 2] and classifier.most_spheres == 2
    for picked, probabilities in zip(spheres, found, strict=True):
        expected = 1 / (1 + np.exp(-picked.sphere.points[:, 2]))
        np.testing.assert_allclose(probabilities[:, 0], expected, rtol=1e-5)
    network.sizes.clear()
    classifier.classify(spheres, 0.0)
    assert network.sizes == [2, 1, 2]


def test_a_sphere_that_does_not_fit_into_memory_alone_is_an_error(model: Model) -> None:
    classifier = SphereClassifier(dataclasses.replace(model, network=CrampedNetwork(0)))
    with pytest.raises(PipelineError, match="a sphere of 30 points: expected one that fits into the memory of cpu"):
        classifier.classify([one_sphere(30), one_sphere(40)], 0.0)
