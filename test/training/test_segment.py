# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of KP-FCNN."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kpconv_ros.checkpoint import load_model
from kpconv_ros.config_io import ConfigError, load_config
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.training import loop
from kpconv_ros.training.batches import make_batch
from kpconv_ros.training.classify import ClassifyTrainingConfig
from kpconv_ros.training.loop import TrainingError
from kpconv_ros.training.loop_config import LoopConfig, learning_rate_factor
from kpconv_ros.training.map_codec import MapCodecTrainingConfig
from kpconv_ros.training.neural_qaad import NeuralQAADTrainingConfig
from kpconv_ros.training.patch_sampler import PatchSamplerTrainingConfig
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import CLASSES
from kpconv_ros.training.shapes import ShapeTrainingConfig

Make = Callable[..., SegmentTraining]


def losses_in(out: Path) -> list[str]:
    """Return the rows of the log: step, loss, accuracy."""
    with (out / "losses.csv").open(newline="") as file:
        return [",".join(row) for row in csv.reader(file)]


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    config = SegmentTrainingConfig(steps=1000, warm_up=0.1)
    factors = [learning_rate_factor(step, config) for step in range(1001)]
    assert factors[0] == pytest.approx(0.01) and factors[99] == factors[100] == 1.0
    assert factors[550] == pytest.approx(0.5) and factors[1000] == pytest.approx(0)
    assert factors[:100] == sorted(factors[:100]) and factors[100:] == sorted(factors[100:], reverse=True)
    for shortest in (SegmentTrainingConfig(steps=1), SegmentTrainingConfig(steps=1, warm_up=0.0)):
        assert learning_rate_factor(0, shortest) == 1.0


def test_the_rate_of_sgd_decays_after_each_epoch() -> None:
    config = SegmentTrainingConfig(optimizer="sgd", epoch_steps=10)
    factors = [learning_rate_factor(step, config) for step in (0, 9, 10, 1000)]
    assert factors == pytest.approx([1.0, 1.0, 0.1**0.01, 0.1])


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"ncm": 0.5},
        {"ncm": 0.5, "ncm_scene": True},
        {"propagation": "cross"},
        {"propagation": "intra"},
    ],
)
def test_other_objectives_and_optimisers_learn_too(
    make_training: Make, tmp_path: Path, changes: dict[str, object]
) -> None:
    training = make_training(tmp_path, steps=30, learning_rate=0.01, average=0.0, **changes)
    training.train()
    losses = [float(row.split(",")[1]) for row in losses_in(tmp_path)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    plain = make_training(tmp_path / "plain", steps=1, learning_rate=0.01)
    plain.train()
    if "ncm" in changes:
        assert losses[0] > float(losses_in(tmp_path / "plain")[0].split(",")[1])


def test_the_second_stage_starts_from_the_first_and_both_export_plain_networks(
    make_training: Make, tmp_path: Path
) -> None:
    first = make_training(tmp_path / "first", propagation="cross", average=0.0)
    first.train()
    first.export(tmp_path / "first" / "model")
    weights = tmp_path / "first" / "model" / "weights.safetensors"
    second = make_training(tmp_path / "second", propagation="intra", start_from=str(weights), average=0.0)
    for name, tensor in first.network.state_dict().items():
        assert second.network.state_dict()[name].equal(tensor), name
    second.train()
    second.export(tmp_path / "second" / "model")
    plain = make_training(tmp_path / "plain")
    plain.export(tmp_path / "plain" / "model")
    sizes = {
        (tmp_path / name / "model" / "weights.safetensors").stat().st_size for name in ("first", "second", "plain")
    }
    assert len(sizes) == 1  # nothing of the modules is left
    resumed = make_training(tmp_path / "second", propagation="intra", start_from=str(weights), average=0.0)
    assert resumed.step == 4 and resumed.reallocation is not None and second.reallocation is not None
    assert resumed.reallocation.affinity.equal(second.reallocation.affinity)
    with pytest.raises(TrainingError, match="expected a network of"):
        make_training(tmp_path / "other", width=16, start_from=str(weights))


def test_the_scene_matrix_tells_what_meets_in_the_training_data(make_training: Make, tmp_path: Path) -> None:
    scene = make_training(tmp_path, ncm=1.0, ncm_scene=True).scene
    assert scene is not None and scene.shape == (9, 9)
    present = [0, 3]  # floor and wall
    assert scene[present].sum(1).tolist() == pytest.approx([1, 1]) and float(scene[present][:, present].min()) > 0
    assert float(scene.sum()) == pytest.approx(2)


def test_an_interrupted_training_goes_on_to_the_same_losses_and_weights(make_training: Make, tmp_path: Path) -> None:
    whole = make_training(tmp_path / "whole")
    whole.train()
    halted = make_training(tmp_path / "halted")
    expected = losses_in(tmp_path / "whole")
    first = [halted.train_step(make_batch(halted.cutter, 300, 0, step)).values() for step in range(2)]
    halted.save()
    resumed = make_training(tmp_path / "halted")
    assert resumed.step == 2
    resumed.train()
    found = [f"{i + 1},{loss:.5f},{accuracy:.5f}" for i, (loss, accuracy) in enumerate(first)]
    assert [*found, *losses_in(tmp_path / "halted")] == expected and len(expected) == 4
    for name, tensor in whole.average.state_dict().items():
        assert resumed.average.state_dict()[name].equal(tensor), name


def test_a_crash_between_checkpoints_leaves_no_step_twice_in_the_log(make_training: Make, tmp_path: Path) -> None:
    make_training(tmp_path / "whole").train()
    expected = (tmp_path / "whole" / "losses.csv").read_bytes()
    (tmp_path / "crashed").mkdir()
    log = tmp_path / "crashed" / "losses.csv"
    log.write_bytes(expected[:-5])  # the last row is cut off, and no checkpoint was written
    make_training(tmp_path / "crashed").train()
    assert log.read_bytes() == expected


def test_bfloat16_is_used_where_the_device_has_it(
    make_training: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for has_it in (True, False):
        monkeypatch.setattr(loop, "has_bfloat16", lambda device, has_it=has_it: has_it)
        assert make_training(tmp_path / f"{has_it}", bf16=True).bf16 == has_it
        assert not make_training(tmp_path / f"{has_it} off", bf16=False).bf16


def test_the_exported_model_is_the_averaged_network(make_training: Make, tmp_path: Path) -> None:
    training = make_training(tmp_path, steps=1, average=0.5)
    training.train()
    training.export(tmp_path / "street_sim")
    model, batch = load_model(tmp_path / "street_sim"), make_batch(training.cutter, 100, 9, 9)
    assert model.manifest.classes == CLASSES["simulator"][0] and model.manifest.sphere_radius == 2.0
    expected = training.average.module.eval()(*batch[:3])
    torch.testing.assert_close(model.network(*batch[:3]), expected, atol=1e-4, rtol=1e-4)


def test_unpredicted_classes_are_learned_and_never_predicted(make_training: Make, tmp_path: Path) -> None:
    training = make_training(tmp_path, steps=1, unpredicted=("building",))
    training.train()
    training.export(tmp_path / "street_sim")
    model, batch = load_model(tmp_path / "street_sim"), make_batch(training.cutter, 100, 9, 9)
    row = model.manifest.classes.index("building") - 1
    kept = [column for column in range(len(model.manifest.classes) - 1) if column != row]
    learned = training.average.module.eval()(*batch[:3])
    logits = model.network(*batch[:3])
    torch.testing.assert_close(logits[:, kept], learned[:, kept], atol=1e-4, rtol=1e-4)
    assert learned[:, row].abs().max() < 100
    assert logits.half().float().softmax(1)[:, row].eq(0).all()


def test_a_training_does_not_start_from_silenced_classes(make_training: Make, tmp_path: Path) -> None:
    make_training(tmp_path / "first", unpredicted=("building", "road")).export(tmp_path / "model")
    with pytest.raises(TrainingError, match="expected a network that was trained without unpredicted, got 2 silenced"):
        make_training(tmp_path / "second", start_from=str(tmp_path / "model" / "weights.safetensors"))


def test_unpredicted_classes_must_be_classes_of_the_data() -> None:
    for name in ("rooad", "unlabeled"):
        with pytest.raises(ConfigError, match=f"unpredicted: expected classes of semantickitti, got {name}"):
            SegmentTrainingConfig(data="semantickitti", unpredicted=(name,))


def test_a_checkpoint_of_another_config_is_refused(make_training: Make, tmp_path: Path) -> None:
    make_training(tmp_path).save()
    with pytest.raises(TrainingError, match="belongs to another config"):
        make_training(tmp_path, learning_rate=0.5)


def test_a_loss_that_is_not_finite_stops_the_training(make_training: Make, tmp_path: Path) -> None:
    training = make_training(tmp_path)
    torch.nn.init.constant_(training.network.classifier.weight, torch.nan)
    with pytest.raises(TrainingError, match="step 1: expected a finite loss, got nan"):
        training.train()


def test_offsets_learn_at_a_tenth_of_the_rate(make_training: Make, tmp_path: Path) -> None:
    training = make_training(tmp_path)
    assert [group["factor"] for group in training._parameter_groups()] == [1.0]
    encoder = ("simple", "deformable_strided", "deformable")
    training.network = KPFCNN(KPFCNNConfig(2, 3, 0.3, width=8, encoder=encoder))
    others, offsets = training._parameter_groups()
    assert (others["factor"], offsets["factor"]) == (1.0, 0.1)
    assert len(offsets["params"]) == 4  # weights and bias of two layers
    assert len(others["params"]) + 4 == len(list(training.network.parameters()))


def test_every_shipped_training_config_loads(repository: Path) -> None:
    of_samplers = ("train_pcrnet", "train_point", "train_samplenet")  # see test_samplenet
    paths = sorted((repository / "config").glob("train_*.yaml"))
    paths = [path for path in paths if not path.stem.startswith(of_samplers)]
    assert len(paths) >= 2
    others: dict[str, type[LoopConfig]] = {
        "train_modelnet40": ClassifyTrainingConfig,
        "train_shapenetpart": ShapeTrainingConfig,
        "train_patch_sampler": PatchSamplerTrainingConfig,
        "train_neural_qaad": NeuralQAADTrainingConfig,
    }
    for path in paths:
        of_tiles = path.stem.startswith("train_map_codec")  # their names are those of the models
        default = MapCodecTrainingConfig if of_tiles else SegmentTrainingConfig
        config = load_config(others.get(path.stem, default), path)
        assert of_tiles or f"train_{config.name}" == path.stem
