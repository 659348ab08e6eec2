# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Votes on single objects."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.data.shapes import ShapeAugmentationConfig, ShapeError, make_shape, pack_shapes, voxelize_shape
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig
from kpconv_ros.pipelines import shape_voter
from kpconv_ros.pipelines.shape_voter import PLAIN, ShapeVoter
from kpconv_ros.pipelines.sphere_classifier import PipelineError
from kpconv_ros.shape_checkpoint import ShapeManifest, ShapeModel, save_shape_model

ENCODER, SIZE, FEATURES = ("simple", "residual", "strided", "residual"), 0.3, ("one", "x")
KIND = ShapeAugmentationConfig(scale=0.3)


def make_model(kind: str) -> ShapeModel:
    torch.manual_seed(0)
    network: KPCNN | PartKPFCNN
    if kind == "classes":
        network = KPCNN(KPCNNConfig(3, 2, SIZE, width=8, encoder=ENCODER, hidden=16))
        torch.nn.init.normal_(network.classifier.weight)
    else:
        network = PartKPFCNN(PartKPFCNNConfig(6, 2, SIZE, width=8, encoder=ENCODER, num_parts=(2, 3, 1)))
    manifest = ShapeManifest("tiny", "shapenetpart", "", "", ("mug", "lamp", "bag"), SIZE, FEATURES, KIND)
    return ShapeModel(manifest, network.eval())


def clouds(counts: tuple[int, ...] = (300, 1, 150)) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(5, 3, (count, 3)) * (1, 2, 3) for count in counts]


def test_the_votes_are_the_mean_of_the_passes() -> None:
    model, cloud = make_model("classes"), clouds()[0]
    passes = []
    for vote, kind in enumerate((PLAIN, KIND, KIND)):
        generator = np.random.default_rng([7, 0, vote])
        batch = pack_shapes([voxelize_shape(make_shape(cloud, 0), SIZE, FEATURES, kind, generator)])
        passes.append(model.network(*batch[:3]).softmax(1).detach().numpy())  # type: ignore[call-arg]
    for num_votes in (1, 3):
        found = ShapeVoter(model, num_votes, seed=7).classify([cloud])
        np.testing.assert_allclose(found, np.mean(passes[:num_votes], axis=0), rtol=1e-5)
    assert not np.allclose(passes[1], passes[2], rtol=1e-3)


def test_an_object_is_classified_the_same_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    voter, objects = ShapeVoter(make_model("classes"), 2), clouds((300, 1, 150, 80, 400))
    together = voter.classify(objects)
    assert together.shape == (5, 3) and together.sum(axis=1) == pytest.approx(np.ones(5))
    for size in (1, 450, 100_000):
        monkeypatch.setattr(shape_voter, "BATCH_POINTS", size)
        np.testing.assert_allclose(voter.classify(objects), together, atol=1e-5)
    assert voter.classify([]).shape == (0, 3)


def test_size_and_place_of_an_object_do_not_matter() -> None:
    voter, cloud = ShapeVoter(make_model("classes")), clouds()[0]
    np.testing.assert_allclose(voter.classify([cloud * 40 + 900]), voter.classify([cloud]), atol=1e-4)


@pytest.mark.parametrize("category", range(3))
def test_every_point_gets_parts_of_its_object_alone(category: int) -> None:
    found = ShapeVoter(make_model("parts"), 3).segment_parts(clouds()[0], category)
    own = np.arange(6)[[slice(0, 2), slice(2, 5), slice(5, 6)][category]]
    assert found.shape == (300, 6) and found.dtype == np.float32
    assert found[:, own].sum(axis=1) == pytest.approx(np.ones(300)) and found.sum() == pytest.approx(300, rel=1e-5)


def test_points_of_one_voxel_share_its_probabilities() -> None:
    model, cloud = make_model("parts"), clouds()[0]
    voxels = voxelize_shape(make_shape(cloud, 1), SIZE, FEATURES, PLAIN, np.random.default_rng([0, 0, 0]))
    expected = model.network(*pack_shapes([voxels])[:4]).softmax(1)[voxels.voxel_of_point]  # type: ignore[call-arg]
    found = ShapeVoter(model).segment_parts(cloud, 1)
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)
    assert len(np.unique(found, axis=0)) <= len(voxels.points) < 300


def test_a_model_is_loaded_from_its_folder(tmp_path: Path) -> None:
    model = make_model("classes")
    fields = {"name": "tiny", "data": "shapenetpart", "classes": model.manifest.classes, "features": FEATURES}
    save_shape_model(tmp_path, model.network, fields)
    voter = ShapeVoter.from_pretrained(tmp_path, device="cpu")
    np.testing.assert_allclose(voter.classify(clouds()), ShapeVoter(model).classify(clouds()))


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(PipelineError, match="num_votes: expected 1 or more, got 0"):
        ShapeVoter(make_model("classes"), 0)
    with pytest.raises(PipelineError, match="expected a model that segments"):
        ShapeVoter(make_model("classes")).segment_parts(clouds()[0], 0)
    with pytest.raises(PipelineError, match="expected a model that classifies"):
        ShapeVoter(make_model("parts")).classify(clouds())
    with pytest.raises(PipelineError, match="category: expected 0 to 2, got 3"):
        ShapeVoter(make_model("parts")).segment_parts(clouds()[0], 3)
    with pytest.raises(ShapeError, match="got 0"):
        ShapeVoter(make_model("classes")).classify([np.zeros((0, 3))])
