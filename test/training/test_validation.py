# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Validation in the course of a training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import load_network
from kpconv_ros.config_io import ConfigError
from kpconv_ros.data.clips import Clip
from kpconv_ros.training.batches import make_batch
from kpconv_ros.training.loop import TrainingError
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import UNALTERED, load_held_out, make_cutter

TINY = {"width": 8, "batch_points": 300, "voxel_size": 0.3, "sphere_radius": 2.0, "device": "cpu", "bf16": False}
SCORES = [0.3, 0.7, float("nan"), 0.5]


class ScriptedTraining(SegmentTraining):
    """Gets the scores above, and remembers the weights that got them."""

    def validate(self) -> float:
        assert not self.average.module.training and not torch.is_grad_enabled()
        weights = {name: tensor.clone() for name, tensor in self.average.module.state_dict().items()}
        self.seen = [*getattr(self, "seen", []), weights]
        return SCORES[self.step - 1]


def make_training(kind: type[SegmentTraining], clip: Clip, out: Path, **changes: object) -> SegmentTraining:
    config = SegmentTrainingConfig(**{**TINY, **changes})  # type: ignore[arg-type]
    out.mkdir(exist_ok=True)
    return kind(config, make_cutter(config, [clip]), out, make_cutter(config, [clip], UNALTERED))


def test_the_score_is_the_miou_of_the_averaged_network_on_unaltered_spheres(clip: Clip, tmp_path: Path) -> None:
    changes = {"steps": 24, "learning_rate": 0.01, "average": 0.8, "validate_every": 16, "validation_batches": 3}
    training = make_training(SegmentTraining, clip, tmp_path, **changes)
    training.train()
    cutter = make_cutter(training.config, [clip], UNALTERED)
    network, hits, unions = training.average.module.eval(), np.zeros(9), np.zeros(9)
    found = np.zeros(9)
    for index in range(3):
        batch = make_batch(cutter, 300, 0, index)
        kept = batch.labels >= 0
        predicted = network(batch.points, batch.lengths, batch.features).argmax(1)[kept]
        for label in range(9):
            one, other = batch.labels[kept] == label, predicted == label
            hits[label] += int((one & other).sum())
            unions[label] += int((one | other).sum())
            found[label] += int(one.sum())
    expected = float((hits / np.maximum(unions, 1))[found > 0].mean())
    rows = [row.split(",") for row in (tmp_path / "validation.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["16", "24"]  # the last step always
    assert float(rows[1][1]) == pytest.approx(expected, abs=1e-5) and 0 < expected < 1
    assert float(training.best) == pytest.approx(max(float(row[1]) for row in rows), abs=1e-5)


def test_best_and_last_network_are_kept_also_when_resumed(clip: Clip, tmp_path: Path) -> None:
    changes = {"steps": 4, "validate_every": 1, "average": 0.5, "name": "tiny"}
    training = make_training(ScriptedTraining, clip, tmp_path, **changes)
    training.train()
    training.export(tmp_path / "tiny")
    best, last = (load_network(tmp_path / name / "weights.safetensors") for name in ("tiny_best", "tiny"))
    assert isinstance(training, ScriptedTraining) and training.best == 0.7
    for network, weights in ((best, training.seen[1]), (last, training.seen[3])):
        assert all(weights[name].equal(tensor) for name, tensor in network.state_dict().items())
    assert make_training(ScriptedTraining, clip, tmp_path, **changes).best == 0.7
    assert len((tmp_path / "validation.csv").read_text().splitlines()) == 4


def test_without_validation_there_is_no_best_network(clip: Clip, tmp_path: Path) -> None:
    make_training(SegmentTraining, clip, tmp_path, steps=1).train()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "losses.csv"]


def test_unaltered_spheres_are_not_turned(clip: Clip) -> None:
    spread = {}
    for turning in (False, True):
        cutter = make_cutter(SegmentTrainingConfig(**TINY), [clip], UNALTERED)  # type: ignore[arg-type]
        cutter.augmentation = UNALTERED.__class__(**{**UNALTERED.__dict__, "turning": turning})
        spheres = [cutter.cut(np.random.default_rng(seed)) for seed in range(12)]
        walls = [points[labels == 3, 0] for points, _, labels in spheres if int((labels == 3).sum()) > 16]
        assert len(walls) >= 3
        spread[turning] = [float(wall.quantile(0.8) - wall.quantile(0.2)) for wall in walls]
    assert max(spread[False]) < 1e-4 and max(spread[True]) > 0.5  # the wall is at one x


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="validation_seeds: expected what is not trained on, got 1001"):
        load_held_out(SegmentTrainingConfig(num_clips=2, validation_seeds=(7, 1001, 1002)))
    config = SegmentTrainingConfig(data="semantickitti", sequences=("00", "01"), validation_sequences=("01",))
    with pytest.raises(ConfigError, match="validation_sequences: expected what is not trained on, got 01"):
        load_held_out(config)
    clips = load_held_out(SegmentTrainingConfig(num_scans=1, validation_seeds=(7, 9)))
    assert len(clips) == 2 and not np.array_equal(clips[0].points[0], clips[1].points[0])


def test_validation_without_held_out_data_is_refused_at_once(clip: Clip, tmp_path: Path) -> None:
    config = SegmentTrainingConfig(**TINY, validate_every=5)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="expected validation_sequences or validation_seeds"):
        SegmentTraining(config, make_cutter(config, [clip]), tmp_path)
