# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings on single objects: solids to classify and furniture to take apart, written in the published formats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from solids import PARTED, SOLIDS, write_modelnet, write_shapenet

from kpconv_ros import cli
from kpconv_ros.config_io import load_config
from kpconv_ros.data.shape_sets import ShapeSet, load_shape_set
from kpconv_ros.networks.encoder import PAPER_DEFORMABLE_ENCODER, PAPER_ENCODER
from kpconv_ros.shape_checkpoint import load_shape_model
from kpconv_ros.training.classify import ClassifyTraining, ClassifyTrainingConfig
from kpconv_ros.training.loop import TrainingError
from kpconv_ros.training.parts import PartsTraining
from kpconv_ros.training.shapes import ShapeTraining, ShapeTrainingConfig, pick_objects

RIGID = ("simple", "residual", "strided", "residual", "strided", "residual")
DEFORMABLE = (*RIGID[:3], "deformable", "deformable_strided", "deformable")
TINY: dict[str, Any] = {
    "voxel_size": 0.2,
    "width": 8,
    "blocks": RIGID,
    "batch_points": 1000,
    "num_threads": 1,
    "steps": 4,
    "learning_rate": 0.01,
    "average": 0.8,
    "norm_momentum": 0.2,
    "device": "cpu",
}
PART_FEATURES = ("one", "x", "y", "z")
CHANCE = 1 / len(SOLIDS)
Start = Callable[..., ShapeTraining]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both datasets."""
    root = tmp_path_factory.mktemp("objects")
    write_modelnet(root / "modelnet40", {"train": 10, "test": 5})
    write_shapenet(root / "shapenetpart", {"train": 6, "val": 2, "test": 3}, num_points=500)
    return root


@pytest.fixture(scope="module")
def solids(folder: Path) -> ShapeSet:
    return load_shape_set("modelnet40", folder / "modelnet40", ["train"])


@pytest.fixture(scope="module")
def furniture(folder: Path) -> ShapeSet:
    return load_shape_set("shapenetpart", folder / "shapenetpart", ["train", "val"])


@pytest.fixture(params=["classify", "parts"])
def start(request: pytest.FixtureRequest, solids: ShapeSet, furniture: ShapeSet) -> Start:
    """Return a function that starts, or resumes, either training in a folder."""

    def make(out: Path, **changes: object) -> ShapeTraining:
        out.mkdir(exist_ok=True)
        fields: dict[str, Any] = {**TINY, **changes}
        if request.param == "classify":
            return ClassifyTraining(ClassifyTrainingConfig(**fields, hidden=32), solids, out)
        fields |= {"data": "shapenetpart", "features": PART_FEATURES}
        return PartsTraining(ShapeTrainingConfig(**fields), furniture, out)

    return make


def test_a_batch_is_filled_up_and_the_same_for_the_same_step(start: Start, tmp_path: Path) -> None:
    training = start(tmp_path)
    one, same, other = (training.make_batch(index) for index in (3, 3, 4))
    assert all(a.equal(b) for a, b in zip(one, same, strict=True)) and not one.lengths.equal(other.lengths)
    assert int(one.lengths.sum()) == len(one.points) >= 1000 > int(one.lengths[:-1].sum())
    assert len(one.categories) == len(one.lengths) > 2
    counts = training.shape_set.num_parts
    if counts:
        ends = torch.tensor([0, *np.cumsum(counts)])
        category = one.categories.repeat_interleave(one.lengths)
        assert bool(((ends[category] <= one.labels) & (one.labels < ends[category + 1])).all())


def test_objects_are_drawn_evenly_or_by_class(folder: Path, solids: ShapeSet, tmp_path: Path) -> None:
    few = [shape for shape in solids.shapes if shape.category == solids.shapes[0].category][:1]
    rest = [shape for shape in solids.shapes if shape.category != few[0].category]
    uneven = solids._replace(shapes=few + rest)
    for balance, share in ((0.0, 1 / 71), (1.0, 1 / 8)):
        training = ClassifyTraining(ClassifyTrainingConfig(**TINY, balance=balance), uneven, tmp_path)
        generator = np.random.default_rng(0)
        drawn = [training._draw(generator).category == few[0].category for _ in range(800)]
        assert np.mean(drawn) == pytest.approx(share, abs=0.04)


def test_an_interrupted_training_goes_on_to_the_same_losses_and_weights(start: Start, tmp_path: Path) -> None:
    whole = start(tmp_path / "whole")
    whole.train()
    halted = start(tmp_path / "halted")
    for step in range(2):
        halted.train_step(halted.make_batch(step))
    halted.save()
    resumed = start(tmp_path / "halted")
    assert resumed.step == 2
    resumed.train()
    rows = [(tmp_path / name / "losses.csv").read_text().splitlines() for name in ("whole", "halted")]
    assert rows[0][2:] == rows[1] and len(rows[1]) == 2
    for name, tensor in whole.average.state_dict().items():
        assert resumed.average.state_dict()[name].equal(tensor), name


def test_the_exported_model_is_the_averaged_network(start: Start, tmp_path: Path) -> None:
    training = start(tmp_path, blocks=DEFORMABLE, steps=2)
    training.train()
    training.export(tmp_path / "model")
    model, batch = load_shape_model(tmp_path / "model"), training.make_batch(9)
    assert model.manifest.classes == training.shape_set.classes and model.network.config.encoder == DEFORMABLE
    assert model.manifest.augmentation == training.config.augmentation and "research" in model.manifest.licence
    inputs = batch[:3] if not training.shape_set.num_parts else batch[:4]
    torch.testing.assert_close(model.network(*inputs), training.average.module.eval()(*inputs))


def test_deformable_blocks_add_their_regularisation_to_the_loss(start: Start, tmp_path: Path) -> None:
    losses = {}
    for weight in (0.0, 0.5):
        training = start(tmp_path / f"{weight}", blocks=DEFORMABLE, regularization=weight)
        losses[weight] = training.train_step(training.make_batch(0))["loss"]
        added = float(training.network.regularization().detach())
    assert added > 0 and losses[0.5] - losses[0.0] == pytest.approx(0.5 * added, rel=1e-3)


def settings(folder: Path, **changes: object) -> list[str]:
    fields = {**TINY, "cache": str(folder / "kept"), "prepare_processes": 1, **changes}
    return [f"{name}={json.dumps(value)}" for name, value in fields.items()]


@pytest.mark.parametrize(
    ("blocks", "times_chance"), [(RIGID, 4), pytest.param(DEFORMABLE, 2.5, marks=pytest.mark.slow)]
)
def test_left_out_solids_are_classified(
    folder: Path,
    repository: Path,
    tmp_path: Path,
    blocks: tuple[str, ...],
    times_chance: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, root = str(repository / "config/train_modelnet40.yaml"), str(folder / "modelnet40")
    fields = settings(folder, blocks=blocks, steps=100, optimizer="adamw", clip_norm=10.0, width=16, hidden=32)
    words = ["train", "classify", "--config", config, "--root", root, "--out", str(tmp_path), "--set", *fields]
    assert cli.main(words) == 0
    words = ["--model", str(tmp_path / "modelnet40"), "--root", root, "--num-votes", "2"]
    assert cli.main(["test", "classify", *words, "--out", str(tmp_path / "scores")]) == 0
    scores = json.loads((tmp_path / "scores/scores.json").read_text())
    assert scores["accuracy"] > times_chance * CHANCE
    present = {name: value for name, value in scores["accuracy_by_class"].items() if value is not None}
    assert set(present) == set(SOLIDS) and scores["class_accuracy"] == pytest.approx(np.mean(list(present.values())))
    assert f"accuracy {scores['accuracy']:.3f}" in capsys.readouterr().out
    assert cli.main(["test", "parts", *words]) == 2
    assert "expected a model that segments parts" in capsys.readouterr().err


def test_parts_of_left_out_furniture_are_found(
    folder: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, root = str(repository / "config/train_shapenetpart.yaml"), str(folder / "shapenetpart")
    fields = settings(folder, steps=50, optimizer="adamw", clip_norm=10.0, width=16)
    words = ["train", "parts", "--config", config, "--root", root, "--out", str(tmp_path), "--set", *fields]
    assert cli.main(words) == 0
    words = ["--model", str(tmp_path / "shapenetpart"), "--root", root, "--num-votes", "2"]
    assert cli.main(["test", "parts", *words, "--out", str(tmp_path / "scores")]) == 0
    scores = json.loads((tmp_path / "scores/scores.json").read_text())
    assert scores["instance_miou"] > 0.75 and scores["accuracy"] > 0.85
    present = {name: value for name, value in scores["miou_by_class"].items() if value is not None}
    assert set(present) == set(PARTED) and scores["class_miou"] == pytest.approx(np.mean(list(present.values())))
    assert f"instance mIoU {scores['instance_miou']:.3f}" in capsys.readouterr().out
    assert cli.main(["test", "classify", *words]) == 2
    assert "expected a model that classifies objects" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["modelnet40", "shapenetpart"])
def test_validation_scores_as_the_test_does_and_the_best_model_is_kept(
    folder: Path, repository: Path, tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, key = {"modelnet40": ("classify", "accuracy"), "shapenetpart": ("parts", "instance_miou")}[data]
    config, root = str(repository / f"config/train_{data}.yaml"), str(folder / data)
    changes: dict[str, Any] = {"steps": 6, "validate_every": 2, "validation_splits": ["test"], "optimizer": "adamw"}
    if kind == "classify":
        changes |= {"steps": 12, "validate_every": 4, "hidden": 32, "width": 16, "validation_batches": 400}
    fields = settings(folder, **changes, learning_rate=0.02, average=0.0, clip_norm=10.0)
    assert cli.main(["train", kind, "--config", config, "--root", root, "--out", str(tmp_path), "--set", *fields]) == 0
    rows = [row.split(",") for row in (tmp_path / "validation.csv").read_text().splitlines()]
    scores = {int(step): float(score) for step, score in rows}
    assert len(scores) == 3 and len(set(scores.values())) > 1
    for model, expected in ((data, scores[changes["steps"]]), (f"{data}_best", max(scores.values()))):
        words = ["--model", str(tmp_path / model), "--root", root, "--num-votes", "1", "--out", str(tmp_path / "found")]
        assert cli.main(["test", kind, *words]) == 0
        found = json.loads((tmp_path / "found/scores.json").read_text())
        assert found[key] == pytest.approx(expected, abs=1e-5)
    fields = settings(folder, **{**changes, "validation_splits": ["train"]})
    assert cli.main(["train", kind, "--config", config, "--root", root, "--out", str(tmp_path), "--set", *fields]) == 2
    assert "validation_splits: expected what is not trained on" in capsys.readouterr().err


def test_a_validation_takes_some_objects_always_the_same(solids: ShapeSet) -> None:
    config = ClassifyTrainingConfig(**TINY, validation_batches=25)  # 25,000 points; 10,000 of each object
    one, other = pick_objects(solids.shapes, config), pick_objects(solids.shapes, config)
    assert len(one) == 3 and all(a is b for a, b in zip(one, other, strict=True))
    assert len({id(shape) for shape in one}) == 3
    assert len(pick_objects(solids.shapes, ClassifyTrainingConfig(**TINY, validation_batches=9999))) == 80


def test_validation_needs_held_out_objects(start: Start, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected validation_splits with it, got none"):
        start(tmp_path, validate_every=2)


def test_parts_need_a_dataset_that_has_some(solids: ShapeSet, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected a dataset with parts, got modelnet40"):
        PartsTraining(ShapeTrainingConfig(**TINY), solids, tmp_path)


def test_the_shipped_configs_are_the_recipes_of_the_paper(repository: Path, solids: ShapeSet, tmp_path: Path) -> None:
    classify = load_config(ClassifyTrainingConfig, repository / "config/train_modelnet40.yaml")
    parts = load_config(ShapeTrainingConfig, repository / "config/train_shapenetpart.yaml")
    assert (classify.learning_rate, parts.learning_rate) == (1e-3, 1e-2)
    assert classify.dropout == 0.5 and classify.features == ("one",) and parts.features == ("one", "x", "y", "z")
    for config in (classify, parts):
        assert (config.optimizer, config.momentum, config.voxel_size) == ("sgd", 0.98, 0.02)
        assert config.epoch_decay**100 == pytest.approx(0.1) and config.regularization == 0.1
    for encoder, blocks in (("rigid", PAPER_ENCODER), ("deformable", PAPER_DEFORMABLE_ENCODER)):
        fields: dict[str, Any] = {**TINY, "blocks": (), "encoder": encoder}
        training = ClassifyTraining(ClassifyTrainingConfig(**fields), solids, tmp_path)
        assert training.network.config.encoder == blocks and training.network.config.num_levels == 5
