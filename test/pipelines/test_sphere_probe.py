# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network looked into at one place."""

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import Manifest, Model
from kpconv_ros.data.clips import Clip
from kpconv_ros.layers.blocks import fold_batch_norms
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.pipelines.sphere_classifier import PipelineError
from kpconv_ros.pipelines.sphere_probe import ProbedField, SphereProbe

FEATURES = ("one", "height", "intensity", "range")


def make_model() -> Model:
    """Return a random network for three classes."""
    torch.manual_seed(0)
    encoder = ("simple", "residual", "strided", "residual")
    network = KPFCNN(KPFCNNConfig(num_classes=2, in_features=4, voxel_size=0.5, width=8, encoder=encoder)).eval()
    fold_batch_norms(network)
    colors = ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    manifest = Manifest("m", "w", "0" * 64, ("unlabeled", "a", "b"), colors, 0.5, 3.0, FEATURES, 1.0)
    return Model(manifest, network)


def make_clip() -> Clip:
    """Return two scans from two places over a ground at -2 m."""
    generator = np.random.default_rng(0)
    points = tuple(generator.uniform(-6, 6, (800, 3)).astype(np.float32) for _ in range(2))
    intensities = tuple(generator.uniform(0, 1, 800).astype(np.float32) for _ in range(2))
    labels = tuple(np.zeros(800, np.uint8) for _ in range(2))
    return Clip(points, intensities, labels, np.array([[0, 0, 0], [4.0, 0, 0]]), np.array([-2.0, -2.0]))


def test_the_sphere_is_what_lies_around_the_nearest_point_with_the_features_of_the_model() -> None:
    clip, probe = make_clip(), SphereProbe(make_model(), make_clip(), np.array([1.0, 2.0, -1.0]))
    everything = np.concatenate(clip.points)
    nearest = np.linalg.norm(everything - [1.0, 2.0, -1.0], axis=1).argmin()
    assert np.array_equal(probe.center, everything[nearest])
    offsets = everything - probe.center
    inside = np.linalg.norm(offsets, axis=1) <= 3.0
    cells = np.floor(offsets[inside] / 0.5).astype(int)
    assert len(probe.points) == len(np.unique(cells, axis=0))
    middle = (cells == 0).all(axis=1)  # the voxel at the centre
    row = np.flatnonzero((np.floor(probe.points / 0.5) == 0).all(axis=1))[0]
    sensors = np.repeat(clip.sensors, 800, axis=0)[inside][middle]
    ranges = np.linalg.norm(everything[inside][middle] - sensors, axis=1)
    expected = [
        1.0,
        everything[inside][middle][:, 2].mean() + 2.0,
        np.concatenate(clip.intensities)[inside][middle].mean(),
        np.log1p(ranges.mean()),
    ]
    np.testing.assert_allclose(probe.features[row], expected, rtol=1e-4)


def test_what_the_probe_tells_is_what_the_network_does() -> None:
    model = make_model()
    probe = SphereProbe(model, make_clip(), np.zeros(3), radius=4.0)
    assert np.linalg.norm(probe.points, axis=1).max() > 3.0
    points, lengths = torch.from_numpy(probe.points), torch.tensor([len(probe.points)])
    logits = model.network(points, lengths, probe.features)
    middle = int(np.linalg.norm(probe.points, axis=1).argmin())
    assert probe.label == ("a", "b")[int(logits[middle].argmax())]
    seen: list[torch.Tensor] = []
    model.network.encoder[1].register_forward_hook(lambda module, inputs, out: seen.append(out.clone()))
    activations = probe.activations(1)
    np.testing.assert_array_equal(activations, seen[0].detach().numpy())
    assert probe.activations(-1).shape == (len(points), 16)
    assert probe.kernel(0).points.equal(model.network.encoder[0].conv.kernel_points)
    field = probe.receptive_field(1)
    far = np.linalg.norm(probe.points - field.place, axis=1) > field.radius
    assert field.radius == pytest.approx(2 * 1.25) and far.any()
    assert not field.values[far].any() and field.values.max() > 0


def test_the_radius_of_a_share_is_where_the_sum_reaches_it() -> None:
    points = np.array([[3.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]])
    field = ProbedField(np.array([0.2, 0.5, 0.3, 0.0]), np.zeros(3), 9.0)
    assert [field.radius_of_share(points, share) for share in (0.4, 0.7, 0.9)] == [1.0, 2.0, 3.0]
    assert ProbedField(np.zeros(4), np.zeros(3), 9.0).radius_of_share(points, 0.9) == 0.0


def test_a_place_that_is_nowhere_is_refused() -> None:
    with pytest.raises(PipelineError, match="finite place"):
        SphereProbe(make_model(), make_clip(), np.array([np.nan, 0, 0]))
