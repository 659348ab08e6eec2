# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The voting test of whole clouds by a network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import Model
from kpconv_ros.data.posed_clouds import PosedCloud, View
from kpconv_ros.mapping import regular_voting
from kpconv_ros.pipelines.cloud_voter import CloudVoter, CloudVoterConfig
from kpconv_ros.pipelines.sphere_classifier import PipelineError


def layers(num_points: int = 6000, seed: int = 0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Layers at 0, 1.5 and 3 m, with the label of each point."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(1, 4, num_points)
    points = generator.uniform(-5, 5, (num_points, 3)) + [shift, 0, 0]
    points[:, 2] = 1.5 * (labels - 1) + generator.normal(0, 0.02, num_points)
    return points.astype(np.float32), labels


def view_of(points: np.ndarray) -> View:
    return View(points, np.full(len(points), 0.5, np.float32), np.zeros(3))


def cloud_of(*clouds: np.ndarray) -> PosedCloud:
    return PosedCloud("cloud", tuple(map(view_of, clouds)), None, 0.0)


@pytest.mark.parametrize("num_votes", [1, 4])
def test_every_point_is_tested_and_gets_the_label_of_its_layer(model: Model, num_votes: int) -> None:
    points, labels = layers()
    result = CloudVoter(model, CloudVoterConfig(num_votes=num_votes)).label(cloud_of(points))
    assert len(result.labels) == len(points) and (result.labels > 0).all()
    assert (result.labels == labels).mean() > 0.97
    assert result.fewest_tests == num_votes
    assert ((result.confidence > 1 / 3) & (result.confidence <= 1)).all()


def test_more_votes_settle_the_labels(model: Model) -> None:
    points = np.random.default_rng(2).uniform((-5, -5, 0), (5, 5, 3), (6000, 3))
    few, many, most = (CloudVoter(model, CloudVoterConfig(num_votes=n)).label(cloud_of(points)) for n in (1, 5, 12))
    assert (many.labels == most.labels).mean() > (few.labels == most.labels).mean()
    assert few.num_spheres < many.num_spheres < most.num_spheres


def test_confidence_is_the_mean_of_the_probabilities_at_each_test(model: Model) -> None:
    """A single voxel, tested five times: its mean is found from what the network was shown, in float64."""
    points = np.full((3, 3), 0.05)
    points[:, 2] = 0.9  # between two layers, so that the error counts
    result = CloudVoter(model, CloudVoterConfig(num_votes=5, sphere_batch=2)).label(cloud_of(points))
    network = model.network
    shown = torch.cat(network.seen).double()  # type: ignore[arg-type]
    assert shown.shape == (5, 3) and len(torch.unique(shown.round(decimals=4), dim=0)) == 5  # from five places
    features = torch.tensor([[1.0, 0.9, 0.5]], dtype=torch.float64).expand(5, 3)
    with torch.no_grad():
        logits = network(shown, torch.tensor([5]), features)
    mean = torch.softmax(logits, 1).mean(0)
    assert result.labels.tolist() == [1 + int(mean.argmax())] * 3
    np.testing.assert_allclose(result.confidence, float(mean.max()), atol=1e-5)


def test_a_result_depends_neither_on_the_clouds_before_nor_on_chunks(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, _ = layers()
    voter = CloudVoter(model, CloudVoterConfig(num_votes=2))
    first = voter.label(cloud_of(points))
    voter.label(cloud_of(points[:100]))
    again = voter.label(cloud_of(points))
    np.testing.assert_array_equal(first.confidence, again.confidence)
    monkeypatch.setattr(regular_voting, "CHUNK", 500)
    pieces = voter.label(cloud_of(points))
    np.testing.assert_array_equal(first.labels, pieces.labels)
    np.testing.assert_allclose(first.confidence, pieces.confidence, atol=1e-5)


def test_only_the_last_view_is_labelled_amid_the_others(model: Model) -> None:
    past, _ = layers(seed=1, shift=30.0)
    points, labels = layers()
    voter = CloudVoter(model, CloudVoterConfig(num_votes=2))
    alone, amid = voter.label(cloud_of(points)), voter.label(cloud_of(past, points))
    assert len(amid.labels) == len(points) and (amid.labels == labels).mean() > 0.97
    assert amid.num_spheres < 1.3 * alone.num_spheres  # none for what lies far from it
    sizes = model.network.sphere_sizes
    del sizes[:]  # type: ignore[union-attr]
    voter.label(cloud_of(layers(seed=2)[0], points))
    joined = np.mean(sizes)  # type: ignore[arg-type]
    del sizes[:]  # type: ignore[union-attr]
    voter.label(cloud_of(points))
    assert joined > 1.2 * np.mean(sizes)  # type: ignore[arg-type]  # the past fills the spheres


def test_places_far_from_the_origin_lose_nothing(model: Model) -> None:
    points, labels = layers()
    far = points.astype(np.float64) + [363_000.0, 6_500_000.0, 0.0]
    assert (CloudVoter(model, CloudVoterConfig(num_votes=2)).label(cloud_of(far)).labels == labels).mean() > 0.97


def test_progress_ends_with_all_voxels(model: Model) -> None:
    told: list[tuple[int, int]] = []
    CloudVoter(model, CloudVoterConfig(num_votes=2)).label(cloud_of(layers()[0]), lambda *pair: told.append(pair))
    done = [pair[0] for pair in told]
    assert len({pair[1] for pair in told}) == 1 and told[-1][0] == told[-1][1] > 1000 and done == sorted(done)


def test_intensities_that_the_network_needs_must_be_there(model: Model) -> None:
    cloud = PosedCloud("room", (View(layers()[0], None, np.zeros(3)),), None, 0.0)
    with pytest.raises(PipelineError, match="room: expected intensities"):
        CloudVoter(model).label(cloud)
    bare = Model(dataclasses.replace(model.manifest, features=("one", "height")), model.network)
    assert (CloudVoter(bare, CloudVoterConfig(num_votes=1)).label(cloud).labels > 0).all()


def test_a_network_of_coloured_clouds_sees_their_colours(model: Model) -> None:
    """Green tells a height that is the true one upside down, so the labels are too."""
    points, labels = layers()
    features = ("one", "green", "intensity")
    coloured = Model(dataclasses.replace(model.manifest, features=features), model.network)
    with pytest.raises(PipelineError, match="colours, which the network needs"):
        CloudVoter(coloured).label(cloud_of(points))
    view = view_of(points)._replace(colors=np.stack([0 * points[:, 2], 3.0 - points[:, 2], 0 * points[:, 2]], axis=1))
    result = CloudVoter(coloured, CloudVoterConfig(num_votes=2)).label(PosedCloud("cloud", (view,), None, 0.0))
    assert (result.labels == 4 - labels).mean() > 0.97


def test_an_empty_cloud_has_no_labels(model: Model) -> None:
    result = CloudVoter(model).label(cloud_of(np.zeros((0, 3), np.float32)))
    assert len(result.labels) == result.num_spheres == result.fewest_tests == 0


@pytest.mark.parametrize("wrong", [{"num_votes": 0}, {"sphere_batch": 0}, {"border_weight": 0.0}, {"border_weight": 2}])
def test_a_config_that_makes_no_sense_is_refused(model: Model, wrong: dict[str, float]) -> None:
    with pytest.raises(PipelineError, match=next(iter(wrong))):
        CloudVoter(model, CloudVoterConfig(**wrong))  # type: ignore[arg-type]
